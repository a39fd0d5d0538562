"""What a late payer owes (期外补缴). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from services.registration.facts import Identities, Insured, Resident
from services.registration.policies.domain import Policy
from services.registration.special_assessment import events as e
from shared.kernel.division import within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.identity import Sex
from shared.kernel.insurance import Insurance
from shared.policy import Assessment, AssessmentRequest, Hukou, Outcome, assess
from shared.policy import Insurance as PackInsurance

LATE = "LATE"
VALID_DAYS = 30
"""How long an assessment may be paid; our own choice, never beyond a day that still buys cover (D-50)."""


@dataclass(frozen=True, slots=True)
class SpecialAssessed:
    """State: the assessments of a person and insurance, by number and the newest per year."""

    numbered: Mapping[str, e.SpecialPaymentAssessed] = field(default_factory=dict)
    newest: Mapping[int, e.SpecialPaymentAssessed] = field(default_factory=dict)


class AssessSpecialPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Assess a payment outside the window. paid_at: the day the payer means to pay (D-51)."""

    person_id: str
    insurance: Insurance
    year: int
    kind: str
    paid_at: dt.date


def evolve(state: SpecialAssessed, event: Event) -> SpecialAssessed:
    """Fold one event; the enrolment's own leave it unchanged."""
    if isinstance(event, e.SpecialPaymentAssessed):
        return SpecialAssessed(
            {**state.numbered, event.assessment_no: event}, {**state.newest, event.year: event}
        )
    return state


def assess_special_payment(
    state: SpecialAssessed,
    command: AssessSpecialPayment,
    resident: Resident | None,
    enrolment: Insured | None,
    identities: Identities,
    policy: Policy,
) -> Decision:
    """The pack's late amount and cover, or its refusal (D-21, D-49, D-50); the same day again gives nothing."""
    if command.kind != LATE:
        return Refusal("KIND_NOT_SUPPORTED", rule="SPECIAL_KIND", field="kind")
    if resident is None:
        return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")
    if resident.died_on is not None:
        return Refusal("PERSON_DECEASED", rule="I-16", field="person_id")
    if enrolment is None or not enrolment.live:
        return Refusal("INVALID_STATE", rule="NOT_ENROLLED", field="person_id")
    if command.insurance is not Insurance.MEDICAL:
        return Refusal(
            "POLICY_UNSPECIFIED",
            rule="NO_LATE_RULE",
            field="insurance",
            message="养老保险无逾期规则 / no plan has a late rule for the pension",
        )
    answer = late_answer(command.paid_at, resident, identities, policy)
    if answer.refusal is not None:
        return answer.refusal
    if not answer.late or answer.entitled_from is None or answer.entitled_to is None:
        return Refusal("INVALID_STATE", rule="NOT_LATE", field="paid_at")
    if answer.outcome is Outcome.NOTHING_DUE:
        return Refusal("INVALID_STATE", rule="NOTHING_DUE", field="person_id")
    known = state.newest.get(command.year)
    valid_to = _valid_to(command.paid_at, resident, identities, policy)
    if known is not None and (known.personal_fen, known.valid_to) == (answer.personal_fen, valid_to):
        return []
    return [
        e.SpecialPaymentAssessed(
            assessment_no=_number(
                command, 1 + sum(one.year == command.year for one in state.numbered.values())
            ),
            person_id=command.person_id,
            kind=LATE,
            insurance=command.insurance,
            year=command.year,
            campaign=policy.campaign,
            personal_fen=answer.personal_fen,
            fiscal_fen=max(0, answer.standard_fen - policy.pack.standard_fen),
            entitled_from=answer.entitled_from,
            entitled_to=answer.entitled_to,
            valid_to=valid_to,
            rule=answer.legs[0].rule if answer.legs else "",
            clause=answer.legs[0].clause if answer.legs else "",
            pack_id=policy.pack.id,
            pack_digest=policy.pack.digest,
        )
    ]


def late_answer(paid_at: dt.date, resident: Resident, identities: Identities, policy: Policy) -> Assessment:
    """The pack's assessment of a medical payment on a day."""
    region = policy.pack.region.division
    return assess(
        policy.pack,
        AssessmentRequest(
            insurance=PackInsurance.MEDICAL,
            birth=resident.birth,
            paid_at=paid_at,
            categories=identities.categories,
            sex=Sex(resident.sex),
            hukou=Hukou.IN if within(resident.hukou_division, region) else Hukou.OUT,
            permit=resident.residence_permit,
            student=resident.student,
            employee_insured=resident.employee_insured(
                Insurance.MEDICAL, max(paid_at, policy.pack.year_start), policy.pack.year_end
            ),
            paid_elsewhere=(Insurance.MEDICAL, policy.pack.insured_year) in resident.elsewhere,
            extended_to=policy.extended_to,
        ),
    )


def _valid_to(paid_at: dt.date, resident: Resident, identities: Identities, policy: Policy) -> dt.date:
    last = min(paid_at + dt.timedelta(days=VALID_DAYS), policy.pack.year_end)
    return paid_at if late_answer(last, resident, identities, policy).refusal is not None else last


def _number(command: AssessSpecialPayment, count: int) -> str:
    return f"{command.year}-{command.insurance.value}-{command.person_id}-L{count}"
