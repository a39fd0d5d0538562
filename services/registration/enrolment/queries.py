"""Reads of enrolments."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.registration.enrolment.projection import ENROLMENT, STATUS
from shared.eventstore.database import Database

_c = ENROLMENT.c
_RULE = sa.case((STATUS.element == "RETURNED", _c.error), else_=_c.rule).label("rule")
_SHOWN = (
    _c.person_id,
    _c.insurance,
    _c.year,
    _c.record_no,
    _c.campaign,
    _c.division,
    _c.route,
    _c.period_from,
    _c.period_to,
    STATUS,
    _c.record_version,
    _RULE,
)


class EnrolmentQueries:
    """GET /enrolments, /enrolments/summary."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, person_id: str) -> list[dict[str, Any]]:
        """A person's enrolments, newest year first."""
        statement = (
            sa.select(*_SHOWN)
            .where(_c.person_id == person_id, _c.state != "")
            .order_by(_c.year.desc(), _c.insurance)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]

    async def summary(self, year: int, division: str) -> list[dict[str, Any]]:
        """Counts per insurance and status inside a division."""
        statement = (
            sa.select(_c.insurance, STATUS, sa.func.count().label("count"))
            .where(_c.year == year, _c.state != "", _c.division.startswith(division, autoescape=True))
            .group_by(_c.insurance, sa.literal_column("status"))
            .order_by(_c.insurance, sa.literal_column("status"))
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]
