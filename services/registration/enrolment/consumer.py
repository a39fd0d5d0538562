"""Collection's answers and refunds as commands over enrolments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.causes import following
from services.registration.enrolment import domain
from services.registration.enrolment.handlers import enrolment_command
from shared.contracts.collection import (
    RefundPaidV1,
    RegistrationInfoAcceptedV1,
    RegistrationInfoRejectedV1,
    RegistrationLinkedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.events import Decision


class CollectionAnswers:
    """接收、退回、关联: every transmission gets one answer."""

    name = "registration-answers"
    handles: tuple[type[msgspec.Struct], ...] = (
        RegistrationInfoAcceptedV1,
        RegistrationInfoRejectedV1,
        RegistrationLinkedV1,
    )

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Keep the answer on the enrolment."""
        message = recorded.event
        return [
            enrolment_command(
                "keep_registration_answer",
                message.insurance,
                message.person_id,
                lambda state: _answer(state, message),
                following(recorded, self.name),
                derived_key(recorded, "keep_registration_answer"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)


class RefundsEndEnrolments:
    """退库: the enrolment ends when no effective payment remains (I-28)."""

    name = "refund-ends-enrolment"
    handles: tuple[type[msgspec.Struct], ...] = (RefundPaidV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Terminate, unless another payment keeps the enrolment."""
        message = recorded.event
        if message.effective_payment_remains:
            return []
        return [
            enrolment_command(
                "terminate_enrolment",
                message.insurance,
                message.person_id,
                lambda state: domain.terminate_for_refund(
                    state, message.person_id, message.insurance, message.year, message.refund_no
                ),
                following(recorded, self.name, message.campaign),
                derived_key(recorded, "terminate_enrolment"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)


def _answer(state: domain.Enrolment, message: Any) -> Decision:
    if isinstance(message, RegistrationLinkedV1):
        return domain.confirm_link(
            state, message.person_id, message.insurance, message.year, message.campaign
        )
    error = message.error if isinstance(message, RegistrationInfoRejectedV1) else ""
    return domain.answer_transmission(
        state, message.person_id, message.insurance, message.year, message.record_version, error
    )
