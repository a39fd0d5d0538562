"""Tables of the HTTP edge beside the log (schema ``platform``): upload jobs and the business clock.

What they are not: read models. They are created by ``shared.web.migrating`` and hold no clear personal data.
"""

from __future__ import annotations

import sqlalchemy as sa

from shared.eventstore.columns import Moment

metadata = sa.MetaData(schema="platform")

IMPORTS = sa.Table(
    "imports",
    metadata,
    sa.Column("import_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("correlation", sa.Text, nullable=False),
    sa.Column("context", sa.Text, nullable=False, comment="JSON of what the route knew: divisions, campaign"),
    sa.Column("state", sa.Text, nullable=False, comment="RUNNING, DONE or FAILED"),
    sa.Column("rows_total", sa.Integer, nullable=False),
    sa.Column("rows_accepted", sa.Integer, nullable=False),
    sa.Column("rows_refused", sa.Integer, nullable=False),
    sa.Column("log_position", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("finished_at", Moment, nullable=True),
    sa.UniqueConstraint("organisation", "kind", "idempotency_key", name="imports_key"),
)

IMPORT_CHUNKS = sa.Table(
    "import_chunks",
    metadata,
    sa.Column("import_id", sa.Text, primary_key=True),
    sa.Column("chunk", sa.Integer, primary_key=True),
    sa.Column("first_row", sa.Integer, nullable=False),
    sa.Column(
        "sealed", sa.LargeBinary, nullable=False, comment="rows under the service's key; deleted when done"
    ),
)

IMPORT_ROWS = sa.Table(
    "import_rows",
    metadata,
    sa.Column("import_id", sa.Text, primary_key=True),
    sa.Column("chunk", sa.Integer, primary_key=True),
    sa.Column("last_row", sa.Integer, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Column("outcomes", sa.LargeBinary, nullable=False, comment="JSON of the slice's rows: codes and ids"),
)

BUSINESS_CLOCK = sa.Table(
    "business_clock",
    metadata,
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
)
