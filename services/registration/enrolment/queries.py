"""Reads of enrolments."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.registration.enrolment.projection import ENROLMENT
from shared.eventstore.database import Database


class EnrolmentQueries:
    """GET /enrolments, /enrolments/summary."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, person_id: str) -> list[dict[str, Any]]:
        """A person's enrolments, newest year first."""
        statement = (
            sa.select(ENROLMENT)
            .where(ENROLMENT.c.person_id == person_id)
            .order_by(ENROLMENT.c.year.desc(), ENROLMENT.c.insurance)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]

    async def summary(self, year: int, division: str) -> list[dict[str, Any]]:
        """Counts per insurance and status inside a division."""
        statement = (
            sa.select(ENROLMENT.c.insurance, ENROLMENT.c.status, sa.func.count().label("count"))
            .where(ENROLMENT.c.year == year, ENROLMENT.c.division.startswith(division, autoescape=True))
            .group_by(ENROLMENT.c.insurance, ENROLMENT.c.status)
            .order_by(ENROLMENT.c.insurance, ENROLMENT.c.status)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]
