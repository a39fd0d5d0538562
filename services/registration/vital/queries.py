"""Reads of deaths."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.registration.vital.projection import DEATH_REPORT
from shared.eventstore.database import Database


class VitalQueries:
    """GET /deaths/{person_id}."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def deaths(self, person_id: str) -> list[dict[str, Any]]:
        """Reports that stand, one per source."""
        statement = (
            sa.select(DEATH_REPORT.c.source, DEATH_REPORT.c.date, DEATH_REPORT.c.batch_month)
            .where(DEATH_REPORT.c.person_id == person_id, DEATH_REPORT.c.date.is_not(None))
            .order_by(DEATH_REPORT.c.source)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]
