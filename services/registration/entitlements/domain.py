"""From when to when a person is covered (I-25). Pure.

One decision, ``review_cover``, compares what should be with what is; every fact that may matter leads to it.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from services.registration.entitlements import events as e
from services.registration.facts import Booked, Insured, Resident
from services.registration.policies.domain import Policy
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import GOVERNMENT
from shared.policy import AssessmentRequest, Pack, assess
from shared.policy import Insurance as PackInsurance

ON_LIST = "ON_LIST"


class CoverState(msgspec.Struct, frozen=True):
    """State of ``cover:{year}:{person}`` as far as cover goes. from_date None: no cover."""

    government_fen: int = 0
    government_version: int = 0
    standard_fen: int = 0
    from_date: dt.date | None = None
    to_date: dt.date | None = None
    undetermined: str = ""


class NoteGovernment(msgspec.Struct, frozen=True):
    """What subsidy resolved of a person's medical standard; fen, 0 once revoked."""

    person_id: str
    year: int
    campaign: str
    version: int
    government_fen: int
    standard_fen: int


class Wanted(msgspec.Struct, frozen=True):
    """Cover as it should be."""

    from_date: dt.date
    to_date: dt.date
    rule: str
    clause: str


def evolve(state: CoverState, event: Event) -> CoverState:
    """Fold one event; bookings leave it unchanged."""
    match event:
        case e.GovernmentLegsNoted():
            return replace(
                state,
                government_fen=event.government_fen,
                government_version=event.version,
                standard_fen=event.standard_fen,
            )
        case e.MedicalEntitlementGranted() | e.MedicalEntitlementChanged():
            return replace(state, from_date=event.from_date, to_date=event.to_date, undetermined="")
        case e.MedicalEntitlementWithdrawn():
            return replace(state, from_date=None, to_date=None)
        case e.MedicalEntitlementUndetermined():
            return replace(state, undetermined=event.rule or event.code)
        case _:
            return state


def note_government_legs(state: CoverState, noted: NoteGovernment) -> list[Event]:
    """Keep the newest resolution; an older version arriving late changes nothing."""
    if noted.version <= state.government_version:
        return []
    return [
        e.GovernmentLegsNoted(
            person_id=noted.person_id,
            year=noted.year,
            campaign=noted.campaign,
            version=noted.version,
            government_fen=noted.government_fen,
            standard_fen=noted.standard_fen,
        )
    ]


def review_cover(
    state: CoverState,
    year: int,
    resident: Resident,
    enrolment: Insured | None,
    booked: Booked | None,
    policy: Policy | Refusal,
) -> list[Event]:
    """Grant, change or withdraw, so that cover is what it should be; nothing when it is."""
    person_id = resident.person_id
    if isinstance(policy, Refusal):
        return _undetermined(state, year, resident, "", policy) if booked is not None else []
    if not _complete(state, booked, policy):
        return _without(state, person_id, year, "NOT_PAID")
    if state.from_date is None and (enrolment is None or not enrolment.live):
        return []
    wanted = _cover(resident, booked, policy)
    if isinstance(wanted, Refusal):
        return _undetermined(state, year, resident, policy.campaign, wanted)
    if resident.died_on is not None:
        if resident.died_on < wanted.from_date:
            return _without(state, person_id, year, "DIED_BEFORE_PERIOD")
        wanted = replace(wanted, to_date=min(wanted.to_date, resident.died_on))
    if (state.from_date, state.to_date) == (wanted.from_date, wanted.to_date):
        return []
    if state.from_date is None:
        return [
            e.MedicalEntitlementGranted(
                person_id=person_id,
                year=year,
                campaign=policy.campaign,
                village=booked.village if booked is not None else resident.division,
                from_date=wanted.from_date,
                to_date=wanted.to_date,
                rule=wanted.rule,
                clause=wanted.clause,
            )
        ]
    return [
        e.MedicalEntitlementChanged(
            person_id=person_id,
            year=year,
            from_date=wanted.from_date,
            to_date=wanted.to_date,
            reason="DEATH" if resident.died_on is not None else "CORRECTION",
        )
    ]


def _complete(state: CoverState, booked: Booked | None, policy: Policy) -> bool:
    """All legs of the standard are there; government's count per ``gov_paid_effective`` (I-15, D-52)."""
    legs = dict(booked.legs) if booked is not None else {}
    government = sum(fen for payer, fen in legs.items() if payer in GOVERNMENT)
    others = sum(fen for payer, fen in legs.items() if payer not in GOVERNMENT)
    if policy.pack.gov_paid_effective == ON_LIST:
        government = max(government, state.government_fen)
    standard = booked.standard_fen if booked is not None else state.standard_fen
    return standard > 0 and others + government >= standard


def _cover(resident: Resident, booked: Booked | None, policy: Policy) -> Wanted | Refusal:
    """Days of cover by the pack, from the payer's own day (D-51); by government alone as if on time."""
    window = policy.pack.window("medical")
    paid_on = booked.paid_on if booked is not None else None
    day = max(paid_on or window.start, window.start, resident.birth)
    if resident.birth < window.start and day <= window.end:
        return _cover_on_time(policy.pack, day, policy.extended_to)
    return _cover_from(policy.pack, resident.birth, day, policy.extended_to)


@lru_cache(maxsize=1024)
def _cover_on_time(pack: Pack, day: dt.date, extended_to: dt.date | None) -> Wanted | Refusal:
    """Cover bought inside the window is everybody's alike who was born by then, whatever the amount."""
    return _cover_from(pack, pack.year_start.replace(year=pack.insured_year - 30), day, extended_to)


def _cover_from(pack: Pack, birth: dt.date, day: dt.date, extended_to: dt.date | None) -> Wanted | Refusal:
    request = AssessmentRequest(
        insurance=PackInsurance.MEDICAL,
        birth=birth,
        paid_at=min(day, pack.year_end),
        extended_to=extended_to,
    )
    answer = assess(pack, request)
    if answer.refusal is not None:
        return answer.refusal
    if answer.entitled_from is None or answer.entitled_to is None:
        return Refusal("POLICY_UNSPECIFIED", rule="ENTITLEMENT_UNSPECIFIED", clause="I-25")
    if answer.late:
        return Wanted(
            answer.entitled_from, answer.entitled_to, "LATE_WAIT", pack.document.medical.late.clause
        )
    clause = pack.document.medical.entitlement.clause
    return Wanted(answer.entitled_from, answer.entitled_to, "ON_TIME", clause)


def _without(state: CoverState, person_id: str, year: int, reason: str) -> list[Event]:
    if state.from_date is None:
        return []
    return [e.MedicalEntitlementWithdrawn(person_id=person_id, year=year, reason=reason)]


def _undetermined(
    state: CoverState, year: int, resident: Resident, campaign: str, refusal: Refusal
) -> list[Event]:
    if state.undetermined == (refusal.rule or refusal.code):
        return []
    return [
        e.MedicalEntitlementUndetermined(
            person_id=resident.person_id,
            year=year,
            campaign=campaign,
            village=resident.division,
            code=refusal.code,
            rule=refusal.rule,
            clause=refusal.clause,
        )
    ]
