"""Wiring of the tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from services.registration.tasks.api import router
from services.registration.tasks.handlers import Tasks
from services.registration.tasks.projection import TasksProjection
from services.registration.tasks.queries import TaskQueries
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports) -> Capability:
    """Everything ``app.py`` needs of tasks."""
    return Capability(
        projections=(TasksProjection(),),
        routers=(router(Tasks(ports.store), TaskQueries(ports.database)),),
    )


def gauges(ports: Ports, sources: Sequence[str]) -> Callable[[], Awaitable[None]]:
    """Sets the gauge of missing death files before ``/metrics`` is rendered. sources: who has to report."""
    queries = TaskQueries(ports.database)

    async def overdue() -> None:
        found = await queries.overdue_death_reports()
        for source in sources:
            ports.metrics.overdue_death_reports(source, found.get(source, 0))

    return overdue
