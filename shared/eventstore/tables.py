"""The tables of schema ``platform`` as SQLAlchemy knows them.

PostgreSQL gets them from ``migrations/*.sql`` (a test compares the two); SQLite in memory gets them from
here. The log, idempotency and guards are only written by the SQL functions and so are missing on purpose
from what statements may touch: ``events`` is here for reading.
"""

from __future__ import annotations

import sqlalchemy as sa

from shared.eventstore.columns import Moment

SCHEMA = "platform"

metadata = sa.MetaData(schema=SCHEMA)
"""Tables services and shared/messaging write in their transactions, on both databases."""

log_metadata = sa.MetaData(schema=SCHEMA)
"""Tables of the log itself: PostgreSQL only, written by SQL functions only."""

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
)

offsets = sa.Table(
    "offsets",
    metadata,
    sa.Column("grp", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Uuid(as_uuid=False), nullable=True),
)

watermarks = sa.Table(
    "watermarks",
    metadata,
    sa.Column("grp", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("source_log", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("source_position", sa.BigInteger, nullable=False),
    # which of an event's messages it was: one event may publish several to one partition
    sa.Column("source_index", sa.Integer, nullable=False, server_default=sa.text("0")),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # message | reaction
    sa.Column("name", sa.Text, nullable=False),  # topic, or reaction
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),  # -1 for reactions
    sa.Column("position", sa.BigInteger, nullable=False),  # offset in the partition, or position in the log
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=True),  # the message; a reaction's event stays in the log
    sa.Column("fixed", sa.LargeBinary, nullable=True),
    sa.Column("state", sa.Text, nullable=False),  # open | replayed | discarded
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("resolved_at", Moment, nullable=True),
    sa.Column("resolved_by", sa.Text, nullable=False),
    sa.Index("dead_letters_open", "kind", "name", "key", "state"),
)

parked = sa.Table(
    "parked",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("deadline", sa.Date, nullable=True),  # null: waits behind another of its key
    sa.Column("parked_at", Moment, nullable=False),
    sa.Index("parked_by_key", "kind", "name", "key", "position"),
)

private = sa.Table(
    "private",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("kid", sa.Text, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    sa.Column("nonce", sa.LargeBinary, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("blind_index", sa.Text, nullable=True),
    sa.Index("private_by_number", "blind_index"),
)

log_identity = sa.Table(
    "log_identity",
    metadata,
    sa.Column("log", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("timeline", sa.Text, nullable=False),
)

log_epochs = sa.Table(
    "log_epochs",
    metadata,
    sa.Column("log", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    # head of the log when the epoch began: what lies before keeps its old address
    sa.Column("started_after", sa.BigInteger, nullable=False),
    sa.Column("raised_at", Moment, nullable=False),
)

events = sa.Table(
    "events",
    log_metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True, cache=1), primary_key=True),
    sa.Column("event_id", sa.Uuid(as_uuid=False), nullable=False),
    sa.Column("era", sa.Integer, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("schema", sa.Integer, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("occurred_at", Moment, nullable=False),
    sa.Column("recorded_at", Moment, nullable=False),
    sa.Column("appended_at", Moment, nullable=False),
    sa.UniqueConstraint("era", "stream", "version"),
)

idempotency = sa.Table(
    "idempotency",
    log_metadata,
    sa.Column("organisation", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("response", sa.LargeBinary, nullable=False),
    sa.Column("era", sa.Integer, nullable=True),
    sa.Column("stream", sa.Text, nullable=True),
    sa.Column("version", sa.Integer, nullable=True),
)

guards = sa.Table(
    "guards",
    log_metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
)
