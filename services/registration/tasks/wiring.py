"""Wiring of the tasks."""

from __future__ import annotations

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
