"""Collection's returns and refunds as commands over enrolments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.causes import following
from services.registration.enrolment import domain
from services.registration.enrolment.handlers import enrolment_command
from shared.contracts.collection import (
    RefundPaidV1,
    RegistrationInfoRejectedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key


class CollectionReturns:
    """退回: a version collection did not take stays on the enrolment until a clerk has looked.

    Every transmission gets one answer; the others (接收、关联) are read from collection's messages.
    """

    name = "registration-returns"
    handles: tuple[type[msgspec.Struct], ...] = (RegistrationInfoRejectedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Keep the return on the enrolment."""
        message: RegistrationInfoRejectedV1 = recorded.event
        return [
            enrolment_command(
                "keep_returned_registration",
                message.insurance,
                message.person_id,
                lambda state: domain.return_transmission(
                    state,
                    message.person_id,
                    message.insurance,
                    message.year,
                    message.record_version,
                    message.error,
                ),
                following(recorded, self.name),
                derived_key(recorded, "keep_returned_registration"),
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
