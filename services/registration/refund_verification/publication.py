"""Decisions on refunds as contract messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.refund_verification.events import RefundVerificationRejected, RefundVerified
from shared.contracts.message import Message
from shared.contracts.registration import RefundVerificationRejectedV1, RefundVerifiedV1
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class RefundVerificationPublication:
    """退费核验通过、不通过."""

    name = "refund-verification"
    handles: tuple[type[Event], ...] = (RefundVerified, RefundVerificationRejected)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """payment_id is the line's order: ``{payment_id}/{n}``."""
        event = recorded.event
        payment_id = event.payment_line_id.rpartition("/")[0]
        if isinstance(event, RefundVerificationRejected):
            return [
                RefundVerificationRejectedV1(
                    person_id=event.person_id,
                    refund_no=event.refund_no,
                    payment_id=payment_id,
                    rule=event.rule,
                    round=event.round,
                )
            ]
        return [
            RefundVerifiedV1(
                person_id=event.person_id,
                refund_no=event.refund_no,
                payment_id=payment_id,
                rule=event.rule,
                terminates_enrolment=event.terminates_enrolment,
                round=event.round,
            )
        ]
