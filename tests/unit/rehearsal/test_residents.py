"""The synthetic village: as many people as the plan's table says, valid numbers, one seed one village."""

from __future__ import annotations

import datetime as dt

import pytest

from deploy.rehearsal.plan import ROLES, Plan, draw_plan, lists_of
from deploy.rehearsal.residents import Village, synthesise_village
from shared.kernel.identity import birth_of, full_years, identity_fault, sex_of
from shared.policy import load_pack

AGE_ON = dt.date(2019, 12, 31)
REGISTERED_ON = dt.date(2019, 10, 1)
DIVISION = "370406101201"


def village(seed: int = 1, persons: int = 1850) -> Village:
    return synthesise_village(seed, DIVISION, "合成村", persons=persons, age_on=AGE_ON, collecting_days=26)


def plan(seed: int = 1, scale: float = 1.0) -> Plan:
    return draw_plan(load_pack("ST-2020"), "店子镇", seed, scale)


@pytest.mark.parametrize("seed", [1, 2, 20200101])
def test_a_village_of_the_town_has_its_share_of_the_task_table(seed: int) -> None:
    """店子镇 has 28,126 medical and 11,300 pension people in 17 villages: 1,654 and 665 each (002:L530)."""
    people = village(seed).residents
    medical = [each for each in people if not each.employee]
    pension = [each for each in people if each.pension_tier is not None]
    assert len(people) == 1850
    assert abs(len(medical) - 1654) < 60
    assert abs(len(pension) - 665) < 60


def test_every_number_is_valid_and_nobodys_twice() -> None:
    """GB 11643, birth and sex as the number says, county 370406 (I-03)."""
    people = village().residents
    assert {identity_fault(each.number, REGISTERED_ON) for each in people} == {None}
    assert len({each.number for each in people}) == len(people)
    assert all(birth_of(each.number) == each.birth and sex_of(each.number) is each.sex for each in people)
    assert {each.number[:6] for each in people} == {"370406"}


def test_who_takes_part_in_the_pension_may() -> None:
    """16 to 59, no student, no employee (002:L49, D-44)."""
    for each in village().residents:
        if each.pension_tier is not None:
            assert 16 <= full_years(each.birth, AGE_ON) <= 59
            assert not each.student
            assert not each.employee


def test_every_household_has_an_adult() -> None:
    for household in village().households:
        assert any(full_years(member.birth, AGE_ON) >= 22 for member in household.members)


def test_the_same_seed_gives_the_same_village_and_another_seed_another() -> None:
    assert village(5) == village(5)
    assert village(5) != village(6)


def test_the_same_seed_gives_the_same_plan() -> None:
    first, second = plan(5), plan(5)
    assert first.households == second.households
    assert first.two_lists == second.two_lists
    assert plan(6).households != first.households


@pytest.mark.parametrize("scale", [0.03, 0.05, 0.3, 1.0])
def test_every_injected_event_has_its_household(scale: float) -> None:
    """Each role is cast once, on its channel and day of the collecting phase."""
    drawn = plan(1, scale)
    assert set(drawn.roles) == set(ROLES)
    assert len({each.household.number for each in drawn.roles.values()}) == len(ROLES)
    for role, (channel, offset, _) in ROLES.items():
        cast = drawn.roles[role]
        assert (cast.channel, cast.on) == (channel, drawn.day(offset))
        assert len(cast.payers) >= 2


def test_two_people_are_on_two_departments_lists() -> None:
    """D-27: 残联 and 民政 both list the severely disabled."""
    drawn = plan()
    lists = dict(lists_of(drawn))
    federation = lists["DISABLED_FEDERATION", "SEVERELY_DISABLED", "medical"]
    affairs = lists["CIVIL_AFFAIRS", "SEVERELY_DISABLED", "medical"]
    both = {each.ordinal for each in federation} & {each.ordinal for each in affairs}
    assert both == set(drawn.two_lists)
    assert len(both) == 2


def test_agents_visit_in_the_collecting_phase_and_phones_pay_in_the_window() -> None:
    """D-25, D-47: agents 10-26 to 11-20, self-service to 12-20."""
    drawn = plan()
    pack = drawn.pack
    for each in drawn.households:
        if each.on is None:
            assert each.channel == "NEVER"
        elif each.channel == "CASH_AGENT":
            assert pack.collection.start <= each.on <= pack.collection.end
            assert each.agent in drawn.agents
        else:
            assert pack.document.windows.medical.start <= each.on <= pack.document.windows.medical.end
            assert each.agent == ""


@pytest.mark.parametrize(("place", "scale"), [("无此镇", 1.0), ("店子镇", 0.0), ("店子镇", 1.5)])
def test_a_plan_that_cannot_be_is_refused(place: str, scale: float) -> None:
    with pytest.raises(ValueError, match=r"."):
        draw_plan(load_pack("ST-2020"), place, 1, scale)
