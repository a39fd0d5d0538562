"""Couples and fiscal subsidies: three moneys beside 代缴, never mixed (D-15, D-45, D-57)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.subsidy.fiscal import domain as d
from services.subsidy.fiscal import events as e
from shared.kernel.errors import Refusal
from shared.policy import load_pack

YC = load_pack("YC-2023")
KEY = d.SubsidyKey("370404-2023", 2023, "FAMILY_PLANNING")
DAY = dt.date(2023, 3, 1)


def couple(**changes: Any) -> d.RecordCouple:
    fields: dict[str, Any] = {
        "campaign": "370404-2023",
        "year": 2023,
        "kind": "one-child",
        "wife_id": "w",
        "husband_id": "h",
        "department": "HEALTH",
    }
    return d.RecordCouple(**fields | changes)


def test_the_health_department_records_a_couple_once() -> None:
    """004:L102-103, D-57: kinds and supplier are the plan's; the same couple again is nothing new."""
    (recorded,) = d.record_couple(d.Couple(), couple(), YC)  # type: ignore[misc]
    assert isinstance(recorded, e.FamilyPlanningCoupleRecorded)
    state = d.evolve_couple(d.Couple(), recorded)
    assert d.record_couple(state, couple(), YC) == []
    other = d.record_couple(state, couple(husband_id="x"), YC)
    assert isinstance(other, Refusal)
    assert other.rule == "COUPLE_RECORDED"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"department": "CIVIL_AFFAIRS"}, "D-57"),
        ({"kind": "three-sons"}, "FAMILY_PLANNING_KIND"),
        ({"husband_id": "w"}, "SPOUSES_DIFFER"),
    ],
)
def test_what_the_plan_does_not_say_is_refused(changes: dict[str, Any], rule: str) -> None:
    """D-15, D-57."""
    refused = d.record_couple(d.Couple(), couple(**changes), YC)
    assert isinstance(refused, Refusal)
    assert refused.rule == rule


def test_only_one_plan_knows_the_subsidy() -> None:
    """I-26: the 300 yuan are YC-2023's alone."""
    refused = d.record_couple(d.Couple(), couple(), load_pack("SC-2025"))
    assert isinstance(refused, Refusal)
    assert refused.rule == "FAMILY_PLANNING_NOT_IN_PACK"


def moved(*events: Any) -> d.Subsidy:
    state = d.Subsidy()
    for event in events:
        state = d.evolve(state, event)
    return state


def test_a_claim_restates_what_is_booked() -> None:
    """D-45: from booked heads only; the same count is nothing new, an older one is passed over."""
    (claimed,) = d.claim(d.Subsidy(), KEY, 2, 60_000, DAY)
    state = moved(claimed)
    assert d.claim(state, KEY, 2, 60_000, DAY) == []
    assert d.claim(state, KEY, 1, 30_000, DAY - dt.timedelta(days=1)) == []
    (more,) = d.claim(state, KEY, 3, 90_000, DAY + dt.timedelta(days=1))
    assert moved(claimed, more).claimed_fen == 90_000


def test_no_money_goes_further_than_it_was_given() -> None:
    """D-45: appropriated <= claimed, arrived <= appropriated."""
    (claimed,) = d.claim(d.Subsidy(), KEY, 2, 60_000, DAY)
    state = moved(claimed)
    over = d.appropriate(state, KEY, 60_001, DAY)
    assert isinstance(over, Refusal)
    assert over.code == "OVER_APPLICATION"
    (given,) = d.appropriate(state, KEY, 40_000, DAY)  # type: ignore[misc]
    state = moved(claimed, given)
    early = d.arrive(state, KEY, 40_001, DAY, "B-1")
    assert isinstance(early, Refusal)
    assert early.code == "OVER_APPROPRIATION"
    (there,) = d.arrive(state, KEY, 40_000, DAY, "B-1")  # type: ignore[misc]
    assert isinstance(there, e.FiscalSubsidyArrived)
    assert moved(claimed, given, there).arrived_fen == 40_000
