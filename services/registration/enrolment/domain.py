"""Decisions over ``enrolment:{insurance}:{person}``. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgspec

from services.registration.enrolment import events as e
from services.registration.enrolment.events import Route
from services.registration.facts import Resident
from services.registration.policies.domain import Policy
from shared.kernel.bounds import InsuredYear
from shared.kernel.division import within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.identity import Sex, full_years
from shared.kernel.insurance import Insurance
from shared.policy import AssessmentRequest, Hukou
from shared.policy import Insurance as PackInsurance
from shared.policy.eligibility import check_eligible
from shared.policy.reckoning import Reckoning, RefusedError

ACTIVE, CANCELLED = "ACTIVE", "CANCELLED"


class Status(StrEnum):
    """An enrolment as its own events tell it: REGISTERED, TRANSMITTED, perhaps RETURNED, then an end.

    ACCEPTED and LINKED are collection's facts: the read model takes them from its messages.
    """

    REGISTERED = "REGISTERED"
    TRANSMITTED = "TRANSMITTED"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"


ENDED = frozenset({Status.CANCELLED, Status.TERMINATED})


@dataclass(frozen=True, slots=True)
class Record:
    """One year's enrolment. version: the last transmitted one, 0 before the first."""

    record_no: str
    year: int
    campaign: str
    division: str
    route: Route
    period_from: dt.date
    period_to: dt.date
    status: Status
    version: int = 0
    refund_no: str = ""

    @property
    def live(self) -> bool:
        """False once cancelled or terminated."""
        return self.status not in ENDED


@dataclass(frozen=True, slots=True)
class Enrolment:
    """State of one person's enrolments for one insurance, by year."""

    records: Mapping[int, Record] = field(default_factory=dict)

    def live(self, year: int) -> Record | None:
        """The year's enrolment while it lasts."""
        record = self.records.get(year)
        return record if record is not None and record.live else None


class RegisterEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    """Enrol a person for an insurance and year; the period defaults to the calendar year."""

    person_id: str
    insurance: Insurance
    year: InsuredYear
    route: Route | None = None
    period_from: dt.date | None = None
    period_to: dt.date | None = None


def evolve(state: Enrolment, event: Event) -> Enrolment:
    """Fold one event; special identities and assessments on the stream leave it unchanged."""
    match event:
        case e.EnrolmentRegistered():
            before = state.records.get(event.year)
            record = Record(
                event.record_no,
                event.year,
                event.campaign,
                event.division,
                event.route,
                event.period_from,
                event.period_to,
                Status.REGISTERED,
                before.version if before is not None else 0,
            )
            return _with(state, record)
        case e.EnrolmentCancelled():
            return _restated(state, event.year, Status.CANCELLED)
        case e.EnrolmentTerminatedForRefund():
            return _restated(state, event.year, Status.TERMINATED, event.refund_no)
        case e.RegistrationInfoTransmitted():
            known = state.records[event.year]
            return _with(
                state,
                Record(
                    known.record_no,
                    known.year,
                    known.campaign,
                    event.division,
                    known.route,
                    known.period_from,
                    known.period_to,
                    Status.TRANSMITTED if known.live else known.status,
                    event.record_version,
                    known.refund_no,
                ),
            )
        case e.RegistrationInfoRejected():
            return _returned(state, event.year, event.record_version)
        case _:
            return state


def register_enrolment(
    state: Enrolment, command: RegisterEnrolment, resident: Resident, policy: Policy, on: dt.date
) -> Decision:
    """Enrol, or keep why not (EnrolmentRejected is an event: somebody may ask later).

    on: day of the registration; the age of 16 is reached by then or not (I-04).
    """
    if resident.merged_into:
        return Refusal("INVALID_STATE", rule="PERSON_MERGED", field="person_id")
    if state.live(command.year) is not None:
        return Refusal("ALREADY_ENROLLED", rule="ONE_ENROLMENT_PER_YEAR", field="year")
    period = _period(command, resident)
    if isinstance(period, Refusal):
        return period
    refused = _not_eligible(command.insurance, command.year, resident, policy, on, period)
    if refused is not None:
        return [
            e.EnrolmentRejected(
                person_id=command.person_id,
                insurance=command.insurance,
                year=command.year,
                campaign=policy.campaign,
                division=resident.division,
                rule=refused.code,
                clause=refused.clause,
            )
        ]
    route = command.route or _route(command.year, resident, policy)
    if route is Route.NEWBORN and not _newborn(command.year, resident):
        return Refusal("VALIDATION_FAILED", rule="NOT_A_NEWBORN", field="route")
    return [
        e.EnrolmentRegistered(
            record_no=record_no(command.insurance, command.year, command.person_id),
            person_id=command.person_id,
            insurance=command.insurance,
            year=command.year,
            campaign=policy.campaign,
            division=resident.division,
            route=route,
            period_from=period[0],
            period_to=period[1],
            pack_id=policy.pack.id,
            pack_digest=policy.pack.digest,
        )
    ]


def enrol(
    state: Enrolment, command: RegisterEnrolment, resident: Resident, policy: Policy, on: dt.date
) -> Decision:
    """Register, and send collection the record in the same decision: nothing lies between the two."""
    events = register_enrolment(state, command, resident, policy, on)
    if isinstance(events, Refusal) or not isinstance(events[0], e.EnrolmentRegistered):
        return events
    sent = transmit_registration(
        evolve(state, events[0]), command.insurance, command.year, resident, cause_ended=False
    )
    return events if isinstance(sent, Refusal) else [*events, *sent]


def transmit_registration(
    state: Enrolment, insurance: Insurance, year: int, resident: Resident, cause_ended: bool
) -> Decision:
    """Send the record as it stands, one version up; an ended one is sent as CANCELLED.

    cause_ended: it follows from the end itself; a stale change of an ended record sends nothing.
    """
    record = state.records.get(year)
    if record is None or (not record.live and not cause_ended):
        return []
    return [
        e.RegistrationInfoTransmitted(
            record_no=record.record_no,
            record_version=record.version + 1,
            person_id=resident.person_id,
            insurance=insurance,
            year=year,
            campaign=record.campaign,
            status=ACTIVE if record.live else CANCELLED,
            route=record.route,
            period_from=record.period_from,
            period_to=record.period_to,
            birth=resident.birth,
            sex=Sex(resident.sex),
            division=resident.division,
            hukou_division=resident.hukou_division,
            residence_permit=resident.residence_permit,
            student=resident.student,
            household=resident.household,
        )
    ]


def change_enrolment(
    state: Enrolment, person_id: str, insurance: Insurance, year: int, reason: str
) -> Decision:
    """Note that particulars changed; nothing for an ended enrolment."""
    live = state.live(year)
    if live is None:
        return []
    return [
        e.EnrolmentChanged(
            record_no=live.record_no,
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=live.campaign,
            reason=reason,
        )
    ]


def cancel_enrolment(
    state: Enrolment, person_id: str, insurance: Insurance, year: int, reason: str
) -> Decision:
    """Cancel a live enrolment; cancelling twice changes nothing."""
    record = state.records.get(year)
    if record is None:
        return Refusal("NOT_FOUND", rule="NOT_ENROLLED", field="record_no")
    if record.status is Status.TERMINATED:
        return Refusal("INVALID_STATE", rule="ENROLMENT_TERMINATED")
    if not record.live:
        return []
    return [
        e.EnrolmentCancelled(
            record_no=record.record_no,
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=record.campaign,
            reason=reason,
        )
    ]


def terminate_for_refund(
    state: Enrolment, person_id: str, insurance: Insurance, year: int, refund_no: str
) -> Decision:
    """End the enrolment whose only payment went back (I-28); nothing when it ended before."""
    live = state.live(year)
    if live is None:
        return []
    return [
        e.EnrolmentTerminatedForRefund(
            record_no=live.record_no,
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=live.campaign,
            refund_no=refund_no,
        )
    ]


def return_transmission(
    state: Enrolment, person_id: str, insurance: Insurance, year: int, version: int, error: str
) -> Decision:
    """Keep that collection sent a version back; an answer to something never sent changes nothing."""
    record = state.records.get(year)
    if record is None or version > record.version:
        return []
    return [
        e.RegistrationInfoRejected(
            record_no=record.record_no,
            record_version=version,
            person_id=person_id,
            insurance=insurance,
            year=year,
            division=record.division,
            error=error,
        )
    ]


def find_conflicts(
    state: Enrolment, person_id: str, insurance: Insurance, start: dt.date, end: dt.date | None
) -> list[Event]:
    """Live enrolments that overlap a spell of employee insurance learned of later (I-05)."""
    return [
        e.CoverageConflictFound(
            record_no=record.record_no,
            person_id=person_id,
            insurance=insurance,
            year=record.year,
            division=record.division,
        )
        for record in state.records.values()
        if record.live and start <= record.period_to and (end is None or end >= record.period_from)
    ]


def record_no(insurance: Insurance, year: int, person_id: str) -> str:
    """``{insurance}-{year}-{person_id}``: derived, so that a replay gives the same number."""
    return f"{insurance.value}-{year}-{person_id}"


def parse_record_no(text: str) -> tuple[Insurance, int, str] | None:
    """Parts of a record number; None when it is none."""
    parts = text.split("-", 2)
    if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdigit()) or parts[0] not in set(Insurance):
        return None
    return Insurance(parts[0]), int(parts[1]), parts[2]


def _period(command: RegisterEnrolment, resident: Resident) -> tuple[dt.date, dt.date] | Refusal:
    first, last = dt.date(command.year, 1, 1), dt.date(command.year, 12, 31)
    default = max(first, resident.birth) if resident.birth <= last else first
    start = command.period_from or default
    end = command.period_to or last
    if not first <= start <= end <= last:
        return Refusal("VALIDATION_FAILED", rule="PERIOD_OUTSIDE_YEAR", field="period_from")
    return start, end


def _not_eligible(
    insurance: Insurance,
    year: int,
    resident: Resident,
    policy: Policy,
    on: dt.date,
    period: tuple[dt.date, dt.date],
) -> Refusal | None:
    """The pack's answer on who may be insured (I-04, I-05); the dead may not (I-08)."""
    if resident.died_on is not None:
        return Refusal("PERSON_DECEASED", rule="I-08")
    request = AssessmentRequest(
        insurance=PackInsurance(insurance.value),
        birth=resident.birth,
        paid_at=on,
        hukou=Hukou.IN if within(resident.hukou_division, policy.pack.region.division) else Hukou.OUT,
        permit=resident.residence_permit,
        student=resident.student,
        employee_insured=resident.employee_insured(insurance, *period),
        paid_elsewhere=(insurance, year) in resident.elsewhere,
    )
    try:
        check_eligible(Reckoning(policy.pack, request))
    except RefusedError as refused:
        return refused.refusal
    return None


def _route(year: int, resident: Resident, policy: Policy) -> Route:
    if _newborn(year, resident):
        return Route.NEWBORN
    if within(resident.hukou_division, policy.pack.region.division):
        return Route.HUKOU
    return Route.PERMIT if resident.residence_permit else Route.STUDENT


def _newborn(year: int, resident: Resident) -> bool:
    """Born in the insured year, or within a year before it: under one on its 1 January."""
    return resident.birth.year >= year or full_years(resident.birth, dt.date(year, 1, 1)) == 0


def _with(state: Enrolment, record: Record) -> Enrolment:
    return Enrolment({**state.records, record.year: record})


def _restated(state: Enrolment, year: int, status: Status, refund_no: str = "") -> Enrolment:
    record = state.records.get(year)
    if record is None:
        return state
    return _with(state, replace(record, status=status, refund_no=refund_no or record.refund_no))


def _returned(state: Enrolment, year: int, version: int) -> Enrolment:
    """Only an answer to the newest version moves the state."""
    record = state.live(year)
    if record is None or version != record.version:
        return state
    return _with(state, replace(record, status=Status.RETURNED))
