"""Collection asks finance to approve verified refunds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.subsidy.funding import handlers
from services.subsidy.funding.events import RefundApprovalRequested
from shared.contracts.collection import RefundApprovalRequestedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key


class TakeRefundRequests:
    """提请财政审核."""

    name = "funding.refund_requests"
    handles: tuple[type[msgspec.Struct], ...] = (RefundApprovalRequestedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One request per question of collection."""
        message: RefundApprovalRequestedV1 = recorded.event
        request = RefundApprovalRequested(
            refund_no=message.refund_no,
            person_id=message.person_id,
            campaign=message.campaign,
            insurance=message.insurance,
            year=message.year,
            fen=message.fen,
        )
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
        return [handlers.request_approval(request, caused, derived_key(recorded, "request_approval"))]

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's refunds stay in order."""
        return str(recorded.event.person_id)
