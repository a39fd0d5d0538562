"""Who this log is: name, epoch, the database's timeline. A fact's address: ``service/log/epoch/position``.

After a restore positions are drawn a second time. Consumers skip what is not above their watermark, so they
would drop the new facts, unless the epoch rises with the restore.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from shared.eventstore.database import Connection, Database
from shared.eventstore.tables import log_identity


class LogIdentity(NamedTuple):
    """log: its name, unique among a service's shards (the county's code). timeline: of the database."""

    log: str
    epoch: int
    timeline: str


class RestoredError(Exception):
    """The database's timeline changed and the epoch did not: raise it (``raise_epoch``) before serving."""


async def timeline_of(connection: Connection) -> str:
    """System identifier and timeline of the cluster; a database in memory has none."""
    if getattr(connection, "driver", None) is None:
        return "memory"
    rows = await connection.execute(
        sa.text(
            "SELECT system_identifier::text || '/' || timeline_id::text"
            " FROM pg_control_system(), pg_control_checkpoint()"
        )
    )
    return str(rows[0][0])


async def claim_identity(database: Database, log: str) -> LogIdentity:
    """The stored identity, made at the first start. Raises RestoredError, or ValueError for another log."""
    async with database.begin() as connection:
        timeline = await timeline_of(connection)
        rows = await connection.execute(sa.select(log_identity))
        if not rows:
            await connection.upsert(log_identity, [{"log": log, "epoch": 1, "timeline": timeline}])
            return LogIdentity(log, 1, timeline)
        found = LogIdentity(rows[0].log, rows[0].epoch, rows[0].timeline)
        if found.log != log:
            raise ValueError(f"this database holds the log {found.log}")
        if found.timeline != timeline:
            raise RestoredError
        return found


async def raise_epoch(database: Database) -> LogIdentity:
    """After a restore: positions from here on belong to a new epoch. LookupError without an identity."""
    async with database.begin() as connection:
        timeline = await timeline_of(connection)
        rows = await connection.execute(
            sa.update(log_identity)
            .values(epoch=log_identity.c.epoch + 1, timeline=timeline)
            .returning(log_identity.c.log, log_identity.c.epoch)
        )
        if not rows:
            raise LookupError("this database holds no log")
        return LogIdentity(rows[0].log, rows[0].epoch, timeline)
