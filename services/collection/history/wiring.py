"""History, wired."""

from __future__ import annotations

from services.collection.history.api import history_import, router
from services.collection.history.handlers import Histories
from services.collection.history.projection import HistoryProjection
from services.collection.history.queries import HistoryReader
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, reader: HistoryReader) -> Capability:
    """History; ``reader`` knows the siblings it asks."""
    kind = history_import()
    ports.imports.register(kind)
    return Capability(
        projections=[HistoryProjection()],
        routers=[router(Histories(ports.store), reader, ports, kind)],
    )
