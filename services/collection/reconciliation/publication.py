"""What reconciliation tells the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.reconciliation import events as r
from shared.contracts.collection import (
    ReconciliationDifferenceFoundV1,
    ThreeWayMatchVerifiedV1,
    TotalsReconciledV1,
)
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class ReconciliationPublication:
    """Totals, differences, three-way matches: field for field."""

    name = "reconciliation"
    handles: tuple[type[Event], ...] = (
        r.TotalsReconciled,
        r.ReconciliationDifferenceFound,
        r.ThreeWayMatchVerified,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        told = msgspec.structs.asdict(event)
        if isinstance(event, r.TotalsReconciled):
            return [TotalsReconciledV1(**told)]
        if isinstance(event, r.ReconciliationDifferenceFound):
            return [ReconciliationDifferenceFoundV1(**told)]
        return [ThreeWayMatchVerifiedV1(**told, equal=True)]
