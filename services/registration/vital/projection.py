"""Read model of deaths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.vital import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

DEATH_REPORT = sa.Table(
    "death_report",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, comment="null: withdrawn"),
    sa.Column("batch_month", sa.Text, nullable=False),
)


class DeathsProjection:
    """死亡信息 per person and source."""

    name = "death-reports"
    tables: Sequence[sa.Table] = (DEATH_REPORT,)
    handles: tuple[type[msgspec.Struct], ...] = (e.DeathReported, e.DeathReportCorrected)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """The newest date per source."""
        rows = [
            {
                "person_id": recorded.event.person_id,
                "source": recorded.event.source,
                "date": recorded.event.date,
                "batch_month": getattr(recorded.event, "batch_month", ""),
            }
            for recorded in events
        ]
        await connection.upsert(DEATH_REPORT, rows, keep=("batch_month",))
