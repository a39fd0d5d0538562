"""Collection's questions as verification commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.causes import following
from services.registration.refund_verification.domain import RefundRequest
from services.registration.refund_verification.handlers import RefundVerifications
from shared.contracts.collection import RefundVerificationRequestedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.clock import SHANGHAI


class VerifyRefunds:
    """退费核验请求 → 核验."""

    name = "verify-refunds"
    handles: tuple[type[msgspec.Struct], ...] = (RefundVerificationRequestedV1,)

    def __init__(self, verifications: RefundVerifications) -> None:
        self._verifications = verifications

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One decision."""
        message: RefundVerificationRequestedV1 = recorded.event
        request = RefundRequest(
            message.refund_no,
            message.person_id,
            message.payment_line_id,
            message.insurance,
            message.year,
            message.fen,
            message.reason,
            message.paid_at.astimezone(SHANGHAI).date(),
            message.effective_payment_remains,
            message.round,
        )
        metadata = following(recorded, self.name, message.campaign)
        return [self._verifications.verify_command(request, metadata, derived_key(recorded, "verify_refund"))]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)
