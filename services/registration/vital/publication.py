"""Deaths as contract messages. What counts is published: receivers keep one date per person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.vital import events as e
from shared.contracts.message import Message
from shared.contracts.registration import DeathReportCorrectedV1, DeathReportedV1, DeathReportOverdueV1
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class VitalPublication:
    """死亡信息通报、更正、未按时通报."""

    name = "vital"
    handles: tuple[type[Event], ...] = (e.DeathReported, e.DeathReportCorrected, e.DeathReportOverdue)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """The effective date of death, whoever reported it."""
        event = recorded.event
        if isinstance(event, e.DeathReported):
            return [
                DeathReportedV1(
                    person_id=event.person_id,
                    date=event.effective,
                    source=event.source,
                    batch_month=event.batch_month,
                    disputed=event.disputed,
                )
            ]
        if isinstance(event, e.DeathReportCorrected):
            return [
                DeathReportCorrectedV1(
                    person_id=event.person_id,
                    date=event.effective,
                    source=event.source,
                    disputed=event.disputed,
                )
            ]
        return [DeathReportOverdueV1(source=event.source, month=event.month)]
