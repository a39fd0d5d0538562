"""Collection asks finance to approve verified refunds, and hands back legs it put on no voucher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.subsidy.funding import handlers
from services.subsidy.funding.domain import FundKey, ReturnedLeg
from services.subsidy.funding.events import RefundApprovalRequested
from shared.contracts.collection import GovernmentLegRefusedV1, RefundApprovalRequestedV1
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


class TakeBackLegs:
    """代缴行退回: the money is free and, unless vouchered already, the leg goes into the next payment (I-27)."""

    name = "funding.returned_legs"
    handles: tuple[type[msgspec.Struct], ...] = (GovernmentLegRefusedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per line."""
        message: GovernmentLegRefusedV1 = recorded.event
        leg = ReturnedLeg(
            message.insurance,
            message.payment_no,
            message.person_id,
            message.payer,
            message.fen,
            message.reason,
        )
        key = FundKey(message.department, message.year, message.campaign)
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
        return [handlers.return_leg(key, leg, caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A department's money stays in order."""
        return f"{recorded.event.department}/{recorded.event.campaign}"
