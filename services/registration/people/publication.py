"""What the other services learn about people; the relay seals the identity for each receiver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.people import events as e
from shared.contracts.message import Message
from shared.contracts.registration import (
    EmployeeInsuranceReportedV1,
    OutOfAreaCoverReportedV1,
    PersonRegisteredV1,
)
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class PeoplePublication:
    """人员登记、职工参保信息 as contract messages."""

    name = "people"
    handles: tuple[type[Event], ...] = (
        e.PersonRegistered,
        e.PersonIdentityChanged,
        e.EmployeeInsuranceReported,
        e.OutOfAreaCoverageReported,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """A change is published as the newest registration: receivers replace what they hold."""
        event = recorded.event
        if isinstance(event, e.EmployeeInsuranceReported):
            return [
                EmployeeInsuranceReportedV1(
                    person_id=event.person_id,
                    insurance=event.insurance,
                    from_date=event.from_date,
                    to_date=event.to_date,
                )
            ]
        if isinstance(event, e.OutOfAreaCoverageReported):
            return [
                OutOfAreaCoverReportedV1(
                    person_id=event.person_id, insurance=event.insurance, region=event.region, year=event.year
                )
            ]
        return [
            PersonRegisteredV1(
                person_id=event.person_id,
                birth=event.birth,
                sex=event.sex.value,
                division=event.division,
                hukou_division=event.hukou_division,
                residence_permit=event.residence_permit,
                student=event.student,
                household=event.household,
            )
        ]
