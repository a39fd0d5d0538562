"""Read model of cover elsewhere: spells of employee insurance and years paid in another pooling area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.people.events import EmployeeInsuranceReported, OutOfAreaCoverageReported
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

EMPLOYEE_SPELL = sa.Table(
    "employee_spell",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("from_date", sa.Date, primary_key=True),
    sa.Column("to_date", sa.Date, comment="null while it lasts"),
)

COVER_ELSEWHERE = sa.Table(
    "cover_elsewhere",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
)


class CoverElsewhere:
    """职工保险、统筹区外参保 per person."""

    name = "cover-elsewhere"
    tables: Sequence[sa.Table] = (EMPLOYEE_SPELL, COVER_ELSEWHERE)
    handles: tuple[type[msgspec.Struct], ...] = (EmployeeInsuranceReported, OutOfAreaCoverageReported)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """The newest end of a spell that began on a day."""
        spells: list[dict[str, Any]] = []
        elsewhere: list[dict[str, Any]] = []
        for recorded in events:
            event = recorded.event
            row = {"person_id": event.person_id, "insurance": event.insurance.value}
            if isinstance(event, EmployeeInsuranceReported):
                spells.append(row | {"from_date": event.from_date, "to_date": event.to_date})
            else:
                elsewhere.append(row | {"year": event.year, "region": event.region})
        await connection.upsert(EMPLOYEE_SPELL, spells)
        await connection.upsert(COVER_ELSEWHERE, elsewhere)
