"""Registration's verdict and finance's approval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.refunds.domain import Refund, approve_refund, reject_verification, verify_refund
from services.collection.refunds.handlers import refund_command
from shared.contracts.registration import RefundVerificationRejectedV1, RefundVerifiedV1
from shared.contracts.subsidy import RefundApprovedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key


class VerdictsTaken:
    """RefundVerifiedV1, RefundVerificationRejectedV1, RefundApprovedV1 -> the refund's next step."""

    name = "refunds-verdicts"
    handles: tuple[type[msgspec.Struct], ...] = (
        RefundVerifiedV1,
        RefundVerificationRejectedV1,
        RefundApprovedV1,
    )

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        message = recorded.event
        number = message.refund_no

        def decide(state: Refund) -> Any:
            if isinstance(message, RefundVerifiedV1):
                return verify_refund(state, number, message.rule, message.terminates_enrolment, message.round)
            if isinstance(message, RefundApprovedV1):
                return approve_refund(state, number, message.fen)
            return reject_verification(state, number, message.rule, message.round)

        told = Metadata(recorded.metadata.correlation, recorded.event_id)
        key = derived_key(recorded, "take_verdict")
        return [refund_command("take_verdict", number, decide, told, key)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.refund_no)
