"""特殊缴费核定 beyond the late rule: newborn, interrupted and policy arrears (I-25, I-26, I-31)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.registration.facts import Identities, Insured, Resident
from services.registration.policies.domain import Policy
from services.registration.special_assessment import domain as d
from services.registration.special_assessment import events as e
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.policy import load_pack

MEDICAL, PENSION = Insurance.MEDICAL, Insurance.PENSION
SC = load_pack("SC-2025")
POLICY = Policy("370406001-2025", SC, None)
ENROLLED = Insured("medical-2025-p1", True, dt.date(2025, 1, 1), dt.date(2025, 12, 31))
NOBODY = Identities((), ())
DAY = dt.date(2025, 9, 5)


def resident(birth: dt.date, **changes: Any) -> Resident:
    fields: dict[str, Any] = {
        "person_id": "p1",
        "birth": birth,
        "sex": "F",
        "division": "370406001201",
        "hukou_division": "370406001",
        "residence_permit": False,
        "student": False,
        "household": "",
        "identified": True,
        "merged_into": "",
        "died_on": None,
        "employee": (),
        "elsewhere": frozenset(),
    }
    return Resident(**fields | changes)


def judge(
    kind: str,
    birth: dt.date,
    paid_at: dt.date = DAY,
    insurance: Insurance = MEDICAL,
    policy: Policy = POLICY,
    insured_before: bool = False,
    state: d.SpecialAssessed | None = None,
    **more: Any,
) -> Any:
    command = d.AssessSpecialPayment(
        person_id="p1", insurance=insurance, year=policy.pack.insured_year, kind=kind, paid_at=paid_at, **more
    )
    return d.assess_special_payment(
        state or d.SpecialAssessed(), command, resident(birth), ENROLLED, NOBODY, policy, insured_before
    )


def assessed(decision: Any) -> e.SpecialPaymentAssessed:
    assert isinstance(decision, list), decision
    (event,) = decision
    assert isinstance(event, e.SpecialPaymentAssessed)
    return event


def rule(decision: Any) -> str:
    assert isinstance(decision, Refusal), decision
    return decision.rule


def test_a_newborn_pays_the_ordinary_amount_and_is_covered_from_birth() -> None:
    """I-25, 003:L73: born after the window, paid within six months: 400 yuan, no wait."""
    born = dt.date(2025, 6, 10)
    found = assessed(judge("NEWBORN", born))
    assert (found.kind, found.personal_fen, found.fiscal_fen) == ("NEWBORN", 40_000, 0)
    assert (found.entitled_from, found.entitled_to) == (born, dt.date(2025, 12, 31))
    assert found.valid_to == dt.date(2025, 10, 5)
    assert found.assessment_no.endswith("-N1")


def test_the_newborn_window_ends_with_its_months() -> None:
    """I-25: valid no longer than the six months; afterwards the child is late like anybody."""
    assert assessed(judge("NEWBORN", dt.date(2025, 3, 20))).valid_to == dt.date(2025, 9, 20)
    assert rule(judge("NEWBORN", dt.date(2025, 2, 1))) == "NOT_NEWBORN"
    assert rule(judge("NEWBORN", dt.date(1990, 2, 1))) == "NOT_NEWBORN"
    assert rule(judge("LATE", dt.date(2025, 6, 10))) == "NOT_LATE"


def test_inside_the_window_a_newborn_pays_as_everybody_does() -> None:
    """I-31: nothing special is assessed while the ordinary assessment stands."""
    assert rule(judge("NEWBORN", dt.date(2024, 10, 1), dt.date(2024, 12, 1))) == "NOT_AFTER_WINDOW"


def test_a_plan_without_a_newborn_window_refuses() -> None:
    """DZ-2018 prints none: what is not printed is a parameter, and this plan has not got it."""
    policy = Policy("370406101-2018", load_pack("DZ-2018"), None)
    decision = judge("NEWBORN", dt.date(2018, 2, 1), dt.date(2018, 3, 1), policy=policy)
    assert rule(decision) == "NEWBORN_WINDOW_UNSPECIFIED"


def test_an_interrupted_year_is_paid_at_its_own_tier() -> None:
    """000:L143-147, 003:L40, I-26: tier 500 of the year's own plan, to be paid within 30 days."""
    found = assessed(
        judge("INTERRUPTION", dt.date(1980, 1, 1), DAY, PENSION, insured_before=True, tier_yuan=500)
    )
    assert (found.personal_fen, found.tier_yuan, found.fiscal_fen) == (50_000, 500, 0)
    assert (found.entitled_from, found.entitled_to) == (dt.date(2025, 1, 1), dt.date(2025, 12, 31))
    assert (found.rule, found.valid_to) == ("INTERRUPTION", dt.date(2025, 10, 5))
    assert found.assessment_no.endswith("-I1")


def test_only_what_was_begun_can_have_been_interrupted() -> None:
    """000:L143-147: insured before, by this system or by proof of it."""
    adult = dt.date(1980, 1, 1)
    assert rule(judge("INTERRUPTION", adult, DAY, PENSION, tier_yuan=500)) == "NOT_INTERRUPTED"
    proved = judge("INTERRUPTION", adult, DAY, PENSION, tier_yuan=500, basis="缴费凭证2019")
    assert assessed(proved).basis == "缴费凭证2019"


def test_policy_arrears_name_their_document() -> None:
    """001:L78, 004:L158-160: 政策性补缴 rests on a document; without one it is refused."""
    adult = dt.date(1980, 1, 1)
    assert rule(judge("ARREARS", adult, DAY, PENSION, tier_yuan=350)) == "BASIS_REQUIRED"
    found = assessed(judge("ARREARS", adult, DAY, PENSION, tier_yuan=350, basis="鲁人社发〔2024〕3号"))
    assert (found.kind, found.personal_fen) == ("ARREARS", 35_000)


@pytest.mark.parametrize(
    ("birth", "more", "said"),
    [
        (dt.date(1980, 1, 1), {}, "TIER_REQUIRED"),
        (dt.date(1980, 1, 1), {"tier_yuan": 300}, "TIER_NOT_IN_PACK"),
        (dt.date(1980, 1, 1), {"tier_yuan": 100}, "LOWEST_TIER_GROUPS"),
        (dt.date(2010, 1, 1), {"tier_yuan": 500}, "AGE_UNDER_16"),
        (dt.date(1960, 1, 1), {"tier_yuan": 500}, "AGE_OVER_MAX"),
        (dt.date(1980, 1, 1), {"tier_yuan": 500, "paid_at": dt.date(2024, 12, 1)}, "NOT_AFTER_WINDOW"),
        (dt.date(1980, 1, 1), {"tier_yuan": 500, "insurance": MEDICAL}, "NO_ARREARS_RULE"),
    ],
)
def test_arrears_follow_the_years_own_rules(birth: dt.date, more: dict[str, Any], said: str) -> None:
    """I-04, I-13: age, tier and day are judged as in the year itself; medical cover is not sold back."""
    fields = {"insurance": PENSION, "basis": "鲁人社发〔2024〕3号", **more}
    refused = judge("ARREARS", birth, **fields)
    assert isinstance(refused, Refusal), refused
    assert said in (refused.code, refused.rule)


def test_the_same_question_again_gives_the_assessment_that_stands() -> None:
    """I-31: one assessment per kind, amount and day; another tier is another assessment."""
    adult, known = dt.date(1980, 1, 1), d.SpecialAssessed()
    first = assessed(judge("INTERRUPTION", adult, DAY, PENSION, insured_before=True, tier_yuan=500))
    known = d.evolve(known, first)
    fields: dict[str, Any] = {"insurance": PENSION, "insured_before": True, "state": known}
    assert judge("INTERRUPTION", adult, tier_yuan=500, **fields) == []
    assert assessed(judge("INTERRUPTION", adult, tier_yuan=800, **fields)).assessment_no.endswith("-I2")
