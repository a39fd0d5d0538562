"""Reconciliation, wired."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.collection.reconciliation.api import router
from services.collection.reconciliation.projection import MoneyPositions
from services.collection.reconciliation.publication import ReconciliationPublication
from services.collection.reconciliation.queries import MonthFacts, SnapshotFacts, book_rows, stages
from services.collection.reconciliation.reactions import DaysReconciled
from shared.web.capability import Capability
from shared.web.service import Ports


@dataclass(frozen=True, slots=True)
class ReconciliationWired:
    """The capability and what sets the money gauges before ``/metrics`` is rendered."""

    capability: Capability
    gauges: Callable[[], Awaitable[None]]


def wire(ports: Ports) -> ReconciliationWired:
    """Reconciliation over the service's ports."""
    snapshots, months = SnapshotFacts(), MonthFacts()

    async def gauges() -> None:
        async with ports.database.read() as connection:
            known = await stages(connection)
            rows = await book_rows(connection, kept_sums=True)
        for (campaign, insurance), fen in known.items():
            ports.metrics.money_fen(campaign, insurance, fen)
        lost: dict[tuple[str, str], int] = {(key[0], key[1]): 0 for key in known}
        for row in rows:
            key = (row.campaign, row.insurance)
            lost[key] = lost.get(key, 0) + row.unaccounted_fen
        for (campaign, insurance), fen_lost in lost.items():
            ports.metrics.unaccounted_fen(campaign, insurance, fen_lost)
        ports.metrics.unaccounted_checked(ports.runtime.timestamp())

    return ReconciliationWired(
        Capability(
            projections=[MoneyPositions()],
            reactions=[DaysReconciled(snapshots)],
            publications=[ReconciliationPublication()],
            routers=[router(ports, snapshots, months)],
        ),
        gauges,
    )
