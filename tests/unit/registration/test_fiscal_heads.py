"""计生补贴 with the payment (D-15, I-26), and the heads fiscal money is claimed for (D-45)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.registration.accounts import domain as d
from services.registration.accounts import events as e
from services.registration.policies.domain import Policy
from shared.kernel.insurance import Insurance
from shared.policy import Pack, load_pack

YC = load_pack("YC-2023")
POLICY = Policy("370404-2023", YC, None)
DAY = dt.date(2022, 12, 5)
FIFTY = dt.date(1972, 6, 1)


def line(fen: int = 30_000, **changes: Any) -> d.Line:
    fields: dict[str, Any] = {
        "return_no": "R-1",
        "line_no": 1,
        "voucher_no": "V-1",
        "campaign": "370404-2023",
        "village": "370404001201",
        "insurance": Insurance.PENSION,
        "year": 2023,
        "person_id": "w",
        "payer": "person",
        "fen": fen,
        "standard_fen": 30_000,
        "paid_on": DAY,
        "treasury_date": DAY,
        "tier_yuan": 300,
    }
    return d.Line(**fields | changes)


def spouse(birth: dt.date | None = FIFTY, kind: str = "one-child") -> d.Spouse:
    return d.Spouse("w", 2023, "370404-2023", kind, birth)


def account(*events: Any) -> d.Account:
    state = d.Account()
    for event in events:
        state = d.evolve_account(state, event)
    return state


def note(birth: dt.date | None = FIFTY, books: d.Ledger | None = None, kind: str = "one-child") -> list[Any]:
    return list(d.note_spouse(d.Account(), books or d.Ledger(), spouse(birth, kind), POLICY, DAY))


def credited(state: d.Account, paid: d.Line) -> list[str]:
    return [type(event).__name__ for event in d.credit_account(state, d.Ledger(), paid, YC, DAY)]


def test_a_spouse_is_credited_with_the_payment_whatever_the_tier() -> None:
    """004:L102-103, D-15: 300 yuan beside the matching subsidy, once a year."""
    (noted,) = note()
    assert (noted.fen, noted.clause) == (30_000, "004:L102-103")
    state = account(noted)
    assert credited(state, line()) == [
        "PensionAccountCredited",
        "FamilyPlanningSubsidyCredited",
        "GovernmentMatchingCredited",
    ]
    again = account(noted, *d.credit_account(state, d.Ledger(), line(), YC, DAY))
    assert "FamilyPlanningSubsidyCredited" not in credited(again, line(line_no=2))


def test_who_has_paid_before_the_couple_is_known_is_credited_at_once() -> None:
    """D-57: the health department's list may come after the payment was booked."""
    posted = e.BookkeepingPosted(
        person_id="w", return_no="R-1", line_no=1, voucher_no="V-1", campaign="370404-2023",
        village="370404001201", insurance=Insurance.PENSION, year=2023, payer="person", fen=30_000,
        standard_fen=30_000, paid_on=DAY, booked_on=DAY, tier_yuan=300,
    )  # fmt: skip
    noted, given = note(books=d.evolve(d.Ledger(), posted))
    assert isinstance(noted, e.FamilyPlanningSpouseNoted)
    assert isinstance(given, e.FamilyPlanningSubsidyCredited)
    assert (given.fen, given.village) == (30_000, "370404001201")


def test_the_wifes_age_decides_for_both() -> None:
    """D-15: fifty on 31 December 2022; a wife who is unknown, younger, or another kind of family gives nothing."""
    assert note(dt.date(1972, 12, 31))
    assert note(dt.date(1973, 1, 1)) == []
    assert note(None) == []
    assert note(kind="three-sons") == []


def test_a_year_made_up_for_brings_no_subsidy() -> None:
    """I-26: nothing on 补缴."""
    (noted,) = note()
    paid = line(special_assessment_no="2023-pension-w-I1")
    assert credited(account(noted), paid) == ["PensionAccountCredited"]


def test_a_refund_takes_both_subsidies_back() -> None:
    """I-28: the year's matching and family-planning subsidies go with the contribution."""
    (noted,) = note()
    state = account(noted)
    state = account(noted, *d.credit_account(state, d.Ledger(), line(), YC, DAY))
    (taken,) = d.reverse_credit(state, "w", 2023, 30_000, "F-1", DAY, "370404001201")
    assert isinstance(taken, e.PensionCreditReversed)
    assert (taken.fen, taken.matching_fen, taken.family_planning_fen) == (30_000, 3_000, 30_000)
    after = d.evolve_account(state, taken)
    assert (after.matching, after.family_planning) == ({}, {})


def heads(pack: Pack, medical: int = 3, special: int = 1) -> dict[str, tuple[int, int]]:
    policy = Policy(f"{pack.region.division}-{pack.insured_year}", pack, None)
    counted = d.count_heads(d.Counted(), d.Heads(medical, special, (2, 6_000), (1, 30_000)), policy, DAY)
    return {
        event.kind: (event.heads, event.fen) for event in counted if isinstance(event, e.FiscalHeadsCounted)
    }


def test_heads_are_counted_per_money() -> None:
    """D-45: 610 yuan a booked head in YC-2023, late payers of the personal part among them."""
    assert heads(YC) == {
        "MEDICAL_FISCAL": (4, 4 * 61_000),
        "PENSION_MATCHING": (2, 6_000),
        "FAMILY_PLANNING": (1, 30_000),
    }


def test_an_amount_the_plan_does_not_print_is_not_claimed() -> None:
    """D-21: ST-2020 prints no fiscal subsidy; nothing is made up for it."""
    assert "MEDICAL_FISCAL" not in heads(load_pack("ST-2020"))


def test_the_same_count_again_is_nothing_new() -> None:
    """A count restates; only what changed is told."""
    counted = d.count_heads(d.Counted(), d.Heads(1, 0, (0, 0), (0, 0)), POLICY, DAY)
    state = d.Counted()
    for event in counted:
        state = d.evolve_counted(state, event)
    assert [event.kind for event in counted if isinstance(event, e.FiscalHeadsCounted)] == ["MEDICAL_FISCAL"]
    assert d.count_heads(state, d.Heads(1, 0, (0, 0), (0, 0)), POLICY, DAY) == []
