"""Reads of tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from services.registration.tasks.projection import TASK
from shared.eventstore.database import Database
from shared.web.paging import Paged, keyset, paged


class TaskQueries:
    """GET /tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tasks(
        self, state: str, kind: str, division: str, after: str, limit: int
    ) -> Paged[dict[str, Any]]:
        """Tasks of a state inside a division, by id."""
        statement = sa.select(TASK).where(TASK.c.state == state)
        if kind:
            statement = statement.where(TASK.c.kind == kind)
        if division:
            statement = statement.where(TASK.c.division.startswith(division, autoescape=True))
        async with self._database.read() as connection:
            rows = await connection.execute(keyset(statement, [TASK.c.task_id], after, limit))
        return paged(rows, limit, lambda row: dict(row._mapping), lambda row: [row.task_id])

    async def task(self, task_id: str) -> dict[str, Any] | None:
        """One task."""
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(TASK).where(TASK.c.task_id == task_id))
        return dict(rows[0]._mapping) if rows else None

    async def overdue_death_reports(self) -> Mapping[str, int]:
        """Source -> months it has not reported its deaths for; a source that owes none may be absent."""
        statement = sa.select(TASK.c.subject).where(
            TASK.c.state == "OPEN", TASK.c.kind == "DEATH_REPORT_OVERDUE"
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
        return Counter(row.subject.partition(":")[0] for row in rows)
