"""The answers registration gets: accepted or rejected, and linked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.collection.taxpayers import events as e
from services.collection.taxpayers.domain import ACTIVE
from shared.contracts import collection as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class TaxpayerPublication:
    """Every transmitted version gets exactly one answer: linked, accepted (not to be linked), or rejected."""

    name = "taxpayers"
    handles: tuple[type[Event], ...] = (
        e.RegistrationInfoAccepted,
        e.RegistrationInfoRejected,
        e.RegistrationLinked,
        e.RegistrationLinkFailed,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        match event:
            case e.RegistrationInfoAccepted() if event.status == ACTIVE:
                return []  # what comes of the link is the answer
            case e.RegistrationInfoAccepted() | e.RegistrationLinkFailed():
                return [
                    c.RegistrationInfoAcceptedV1(
                        person_id=event.person_id,
                        record_no=event.record_no,
                        record_version=event.record_version,
                        insurance=event.insurance,
                        year=event.year,
                    )
                ]
            case e.RegistrationInfoRejected():
                return [
                    c.RegistrationInfoRejectedV1(
                        person_id=event.person_id,
                        record_no=event.record_no,
                        record_version=event.record_version,
                        insurance=event.insurance,
                        year=event.year,
                        error=event.error,
                    )
                ]
            case e.RegistrationLinked():
                return [
                    c.RegistrationLinkedV1(
                        person_id=event.person_id,
                        record_no=event.record_no,
                        record_version=event.record_version,
                        insurance=event.insurance,
                        year=event.year,
                        campaign=event.campaign,
                        village=event.village,
                        taxpayer_no=event.taxpayer_no,
                    )
                ]
            case _:
                return []
