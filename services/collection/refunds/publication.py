"""What refunds tell the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.refunds import events as r
from shared.contracts.collection import (
    RefundApprovalRequestedV1,
    RefundPaidAfterCancellationV1,
    RefundPaidV1,
    RefundSettledV1,
    RefundVerificationRequestedV1,
)
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event

_CONTRACTS: dict[type[Event], type[Message]] = {
    r.RefundVerificationRequested: RefundVerificationRequestedV1,
    r.RefundApprovalRequested: RefundApprovalRequestedV1,
    r.RefundPaid: RefundPaidV1,
    r.RefundPaidAfterCancellation: RefundPaidAfterCancellationV1,
    r.RefundSettled: RefundSettledV1,
}


class RefundPublication:
    """Verification and approval requested, paid (in vain too), settled: field for field."""

    name = "refunds"
    handles: tuple[type[Event], ...] = tuple(_CONTRACTS)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        contract = _CONTRACTS[type(recorded.event)]
        told = msgspec.structs.asdict(recorded.event)
        return [contract(**{name: told[name] for name in contract.__struct_fields__})]
