"""What is owed outside the window: 期外补缴、新生儿缴费、中断补缴、政策性补缴. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from services.registration.facts import Identities, Insured, Resident
from services.registration.policies.domain import Policy
from services.registration.special_assessment import events as e
from shared.kernel.bounds import InsuredYear, Quantity
from shared.kernel.division import within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.identity import Sex, full_years
from shared.kernel.insurance import Insurance
from shared.policy import Assessment, AssessmentRequest, Hukou, Outcome, assess
from shared.policy import Insurance as PackInsurance
from shared.policy.reckoning import add_months

LATE, NEWBORN, INTERRUPTION, ARREARS = "LATE", "NEWBORN", "INTERRUPTION", "ARREARS"
KINDS = (LATE, NEWBORN, INTERRUPTION, ARREARS)
"""期外补缴, 新生儿缴费, 中断补缴 and 政策性补缴 (001:L78, 004:L158-160, 003:L40; 002:L272 for the newborn)."""
VALID_DAYS = 30
"""How long an assessment may be paid; our own choice, never beyond a day that still buys cover (D-50)."""


@dataclass(frozen=True, slots=True)
class SpecialAssessed:
    """State: the assessments of a person and insurance, by number and the newest per year."""

    numbered: Mapping[str, e.SpecialPaymentAssessed] = field(default_factory=dict)
    newest: Mapping[int, e.SpecialPaymentAssessed] = field(default_factory=dict)


class AssessSpecialPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Assess a payment outside the window. paid_at: the day the payer means to pay (D-51).

    tier_yuan: for the pension. basis: the document 政策性补缴 rests on, or proof of an earlier cover.
    """

    person_id: str
    insurance: Insurance
    year: InsuredYear
    kind: str
    paid_at: dt.date
    tier_yuan: Quantity | None = None
    basis: str = ""


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
    insured_before: bool = False,
) -> Decision:
    """What the pack says of the kind, or its refusal (D-21, D-49, D-50, I-26, I-31); again the same: nothing.

    insured_before: enrolled for this insurance in an earlier year.
    """
    if command.kind not in KINDS:
        return Refusal("KIND_NOT_SUPPORTED", rule="SPECIAL_KIND", field="kind")
    if resident is None:
        return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")
    if resident.died_on is not None:
        return Refusal("PERSON_DECEASED", rule="I-16", field="person_id")
    if enrolment is None or not enrolment.live:
        return Refusal("INVALID_STATE", rule="NOT_ENROLLED", field="person_id")
    if command.kind in (INTERRUPTION, ARREARS):
        terms = _arrears(command, resident, policy, insured_before)
    elif command.insurance is not Insurance.MEDICAL:
        return Refusal(
            "POLICY_UNSPECIFIED",
            rule="NO_LATE_RULE",
            field="insurance",
            message="养老保险无逾期规则 / no plan has a late rule for the pension",
        )
    elif command.kind == NEWBORN:
        terms = _newborn(command, resident, identities, policy)
    else:
        terms = _late(command, resident, identities, policy)
    if isinstance(terms, Refusal):
        return terms
    known = state.newest.get(command.year)
    if known is not None and (known.kind, known.personal_fen, known.valid_to, known.tier_yuan) == (
        command.kind,
        terms.personal_fen,
        terms.valid_to,
        command.tier_yuan,
    ):
        return []
    count = 1 + sum(one.year == command.year for one in state.numbered.values())
    return [
        e.SpecialPaymentAssessed(
            assessment_no=_number(command, count),
            person_id=command.person_id,
            kind=command.kind,
            insurance=command.insurance,
            year=command.year,
            campaign=policy.campaign,
            personal_fen=terms.personal_fen,
            fiscal_fen=terms.fiscal_fen,
            entitled_from=terms.entitled_from,
            entitled_to=terms.entitled_to,
            valid_to=terms.valid_to,
            rule=terms.rule,
            clause=terms.clause,
            pack_id=policy.pack.id,
            pack_digest=policy.pack.digest,
            tier_yuan=command.tier_yuan,
            basis=command.basis,
        )
    ]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What is owed, for which days, and until when it may be paid. Amounts in fen."""

    personal_fen: int
    entitled_from: dt.date
    entitled_to: dt.date
    valid_to: dt.date
    rule: str
    clause: str
    fiscal_fen: int = 0


def _late(
    command: AssessSpecialPayment, resident: Resident, identities: Identities, policy: Policy
) -> _Terms | Refusal:
    """期外补缴: the pack's late amount and wait."""
    answer = late_answer(command.paid_at, resident, identities, policy)
    if answer.refusal is not None:
        return answer.refusal
    if not answer.late:
        return Refusal("INVALID_STATE", rule="NOT_LATE", field="paid_at")
    fiscal = max(0, answer.standard_fen - policy.pack.standard_fen)
    return _medical(answer, _valid_to(command.paid_at, resident, identities, policy), fiscal)


def _newborn(
    command: AssessSpecialPayment, resident: Resident, identities: Identities, policy: Policy
) -> _Terms | Refusal:
    """新生儿缴费: the ordinary amount after the window, covered from birth (I-25)."""
    pack = policy.pack
    window = pack.parameter("newborn_window_months")
    if window is None or not isinstance(window.value, int):
        return Refusal("POLICY_UNSPECIFIED", rule="NEWBORN_WINDOW_UNSPECIFIED", field="kind")
    if command.paid_at <= pack.window("medical").end:
        return Refusal(
            "INVALID_STATE",
            "NOT_AFTER_WINDOW",
            field="paid_at",
            message="集中征缴期内照常缴费 / pay as everybody does",
        )
    last = add_months(resident.birth, window.value)
    if command.paid_at > last or full_years(resident.birth, command.paid_at) > 0:
        return Refusal("INVALID_STATE", "NOT_NEWBORN", window.clause, "person_id")
    answer = late_answer(command.paid_at, resident, identities, policy)
    if answer.refusal is not None:
        return answer.refusal
    valid_to = min(command.paid_at + dt.timedelta(days=VALID_DAYS), last, pack.year_end)
    return _medical(answer, valid_to, 0)


def _medical(answer: Assessment, valid_to: dt.date, fiscal_fen: int) -> _Terms | Refusal:
    if answer.entitled_from is None or answer.entitled_to is None:
        return Refusal("POLICY_UNSPECIFIED", rule="ENTITLEMENT_UNSPECIFIED", clause="I-25")
    if answer.outcome is Outcome.NOTHING_DUE:
        return Refusal("INVALID_STATE", rule="NOTHING_DUE", field="person_id")
    leg = answer.legs[0]
    return _Terms(
        answer.personal_fen,
        answer.entitled_from,
        answer.entitled_to,
        valid_to,
        leg.rule,
        leg.clause,
        fiscal_fen,
    )


def _arrears(
    command: AssessSpecialPayment, resident: Resident, policy: Policy, insured_before: bool
) -> _Terms | Refusal:
    """中断补缴 and 政策性补缴: a pension tier of a past year's own plan, without matching subsidy (I-26)."""
    pack = policy.pack
    if command.insurance is not Insurance.PENSION:
        return Refusal("POLICY_UNSPECIFIED", "NO_ARREARS_RULE", field="insurance",
                       message="医疗保险不补缴往年 / no plan sells a past year of medical cover")  # fmt: skip
    if command.paid_at <= max(pack.window("pension").end, policy.extended_to or pack.window("pension").end):
        return Refusal("INVALID_STATE", "NOT_AFTER_WINDOW", field="paid_at")
    if command.kind == INTERRUPTION and not (insured_before or command.basis):
        return Refusal(
            "INVALID_STATE",
            "NOT_INTERRUPTED",
            clause="000:L143-147",
            field="person_id",
            message="此前未参保，不属中断补缴 / never insured before: nothing was interrupted",
        )
    if command.kind == ARREARS and not command.basis:
        return Refusal("VALIDATION_FAILED", "BASIS_REQUIRED", field="basis",
                       message="政策性补缴须注明依据文件 / name the document it rests on")  # fmt: skip
    region = pack.region.division
    answer = assess(
        pack,
        AssessmentRequest(
            insurance=PackInsurance.PENSION,
            birth=resident.birth,
            paid_at=max(pack.window("pension").end, resident.birth),
            tier_yuan=command.tier_yuan,
            sex=Sex(resident.sex),
            hukou=Hukou.IN if within(resident.hukou_division, region) else Hukou.OUT,
            permit=resident.residence_permit,
            student=resident.student,
            employee_insured=resident.employee_insured(Insurance.PENSION, pack.year_start, pack.year_end),
        ),
    )
    if answer.refusal is not None:
        return answer.refusal
    valid_to = command.paid_at + dt.timedelta(days=VALID_DAYS)
    leg = answer.legs[0]
    return _Terms(answer.personal_fen, pack.year_start, pack.year_end, valid_to, command.kind, leg.clause)


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
    """The kind's initial tells assessments of a year apart."""
    return f"{command.year}-{command.insurance.value}-{command.person_id}-{command.kind[0]}{count}"
