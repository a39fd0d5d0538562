"""Registration's messages to commands of ours (参保登记信息传递)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from services.collection.obligations.facts import OtherCover, SpecialIdentity
from services.collection.obligations.following import follow
from services.collection.taxpayers import domain as d
from services.collection.taxpayers.domain import LinkRegistration
from services.collection.taxpayers.handlers import Taxpayers
from shared.contracts.registration import (
    EmployeeInsuranceReportedV1,
    OutOfAreaCoverReportedV1,
    RegistrationInfoTransmittedV1,
    SpecialIdentityMarkedV1,
    SpecialIdentityRemovedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class LinkRegistrations:
    """RegistrationInfoTransmittedV1 to accepted or rejected, linked and assessed."""

    name = "link-registrations"
    handles: tuple[type[msgspec.Struct], ...] = (RegistrationInfoTransmittedV1,)

    def __init__(self, taxpayers: Taxpayers) -> None:
        self._taxpayers = taxpayers

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        message: RegistrationInfoTransmittedV1 = recorded.event
        command = LinkRegistration(
            person_id=message.person_id,
            record_no=message.record_no,
            record_version=message.record_version,
            insurance=message.insurance,
            year=message.year,
            status=message.status,
            period_from=message.period_from,
            period_to=message.period_to,
            birth=message.birth,
            sex=message.sex,
            village=message.division,
            hukou_division=message.hukou_division,
            residence_permit=message.residence_permit,
            student=message.student,
            household=message.household,
        )
        return [self._taxpayers.link_registration_command(command, follow(recorded, self.name), None)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)


class NotePersonFacts:
    """职工保险、统筹区外参保 (I-05) and special identities of the pension (I-06) to the taxpayer's stream.

    Medical identities are not kept: what they are worth comes resolved from subsidy (I-31).
    """

    name = "note-person-facts"
    handles: tuple[type[msgspec.Struct], ...] = (
        EmployeeInsuranceReportedV1,
        OutOfAreaCoverReportedV1,
        SpecialIdentityMarkedV1,
        SpecialIdentityRemovedV1,
    )

    def __init__(self, taxpayers: Taxpayers) -> None:
        self._taxpayers = taxpayers

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        message = recorded.event
        decision = _decision(message)
        if decision is None:
            return []
        return [self._taxpayers.note_command(message.person_id, decision, follow(recorded, self.name), None)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)


def _decision(message: Any) -> Callable[[d.Taxpayer], Sequence[Event]] | None:
    """What to keep of a message; None for what no rule here needs."""
    person_id: str = message.person_id
    match message:
        case EmployeeInsuranceReportedV1():
            cover = OtherCover(message.insurance, "EMPLOYEE", message.from_date, message.to_date)
        case OutOfAreaCoverReportedV1():
            start, end = dt.date(message.year, 1, 1), dt.date(message.year, 12, 31)
            cover = OtherCover(message.insurance, "ELSEWHERE", start, end)
        case _ if message.insurance is not Insurance.PENSION:
            return None
        case _:
            mark = SpecialIdentity(
                message.insurance, message.year, message.category, message.source_department
            )
            ended = isinstance(message, SpecialIdentityRemovedV1)
            return lambda state: d.note_identity(state, person_id, mark, ended=ended)
    return lambda state: d.note_cover(state, person_id, cover)
