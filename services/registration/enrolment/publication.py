"""Enrolments as contract messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.enrolment import events as e
from shared.contracts.message import Message
from shared.contracts.registration import (
    CollectingUnitInfoTransmittedV1,
    EnrolmentRejectedV1,
    RegistrationInfoTransmittedV1,
)
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class EnrolmentPublication:
    """参保登记信息传递、不予登记、委托代收单位."""

    name = "enrolment"
    handles: tuple[type[Event], ...] = (
        e.RegistrationInfoTransmitted,
        e.EnrolmentRejected,
        e.CollectingUnitInfoTransmitted,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per event."""
        event = recorded.event
        match event:
            case e.EnrolmentRejected():
                return [
                    EnrolmentRejectedV1(
                        person_id=event.person_id,
                        insurance=event.insurance,
                        year=event.year,
                        division=event.division,
                        rule=event.rule,
                        clause=event.clause,
                    )
                ]
            case e.CollectingUnitInfoTransmitted():
                return [
                    CollectingUnitInfoTransmittedV1(
                        unit_id=event.unit_id, name=event.name, village=event.village
                    )
                ]
            case _:
                return [_transmitted(event)]


def _transmitted(event: e.RegistrationInfoTransmitted) -> RegistrationInfoTransmittedV1:
    return RegistrationInfoTransmittedV1(
        person_id=event.person_id,
        record_no=event.record_no,
        record_version=event.record_version,
        insurance=event.insurance,
        year=event.year,
        status=event.status,
        route=event.route.value,
        period_from=event.period_from,
        period_to=event.period_to,
        birth=event.birth,
        sex=event.sex.value,
        division=event.division,
        hukou_division=event.hukou_division,
        residence_permit=event.residence_permit,
        student=event.student,
        household=event.household,
    )
