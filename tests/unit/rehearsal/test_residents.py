"""The synthetic people: exactly as many as the plans' tables say, valid numbers, one seed one village."""

from __future__ import annotations

import datetime as dt

import pytest

from deploy.rehearsal import plan as planning
from deploy.rehearsal.plan import (
    BIRTHDAY,
    CASH_ROLES,
    FALLBACK,
    NOTICE_ROLES,
    ROLES,
    YEAR_LATER,
    Plan,
    draw_plan,
    lists_of_town,
    of_special_groups,
)
from deploy.rehearsal.population import Population, VillageSize, apportion, draw_population
from deploy.rehearsal.residents import NEVER, Village, synthesise_village
from deploy.rehearsal.script import CASH, SCRIPTS
from shared.kernel.identity import birth_of, full_years, identity_fault, sex_of
from shared.policy import load_pack
from shared.policy.terms import AgeMode, ChannelKind

REGISTERED_ON = dt.date(2019, 10, 1)
PACKS = tuple(SCRIPTS)


def population(pack: str = "ST-2020", place: str = "店子镇", scale: float = 1.0) -> Population:
    return draw_population(load_pack(pack), SCRIPTS[pack], place, scale)


def size(number: int = 3) -> VillageSize:
    return population().villages[number]


def village(seed: int = 1, number: int = 3) -> Village:
    return synthesise_village(seed, size(number), SCRIPTS["ST-2020"])


def plan(pack: str = "ST-2020", seed: int = 1, scale: float = 1.0, villages: int = 0) -> Plan:
    return draw_plan(load_pack(pack), "", seed, scale, villages)


# -- how many -------------------------------------------------------------------------------------------


def test_the_sub_districts_units_have_the_people_of_its_table() -> None:
    """SC-2025: 46 units, 70,487 who pay; the table leaves the exempt out, they come on top (003:L110, D-20)."""
    found = population("SC-2025", "山城街道")
    table = load_pack("SC-2025").task_table
    assert table is not None
    assert [each.name for each in found.villages] == [row.name for row in table.rows]
    assert [each.paying for each in found.villages] == [row.medical_persons for row in table.rows]
    assert sum(each.paying for each in found.villages) == 70487
    assert all(each.exempt > 0 for each in found.villages)
    assert len({each.area for each in found.villages}) == 10


def test_the_districts_ten_towns_equal_the_task_table() -> None:
    """ST-2020: 280 villages, 437,854 medical and 128,450 pension people, everybody counted (002:L504-534)."""
    found = population("ST-2020", "山亭区")
    table = load_pack("ST-2020").task_table
    assert table is not None
    for row in table.rows:
        mine = found.of_town(row.division)
        assert len(mine) == row.units
        assert sum(each.medical for each in mine) == row.medical_persons
        assert sum(each.pension for each in mine) == row.pension_persons
    assert (len(found.villages), found.medical, found.pension) == (280, 437854, 128450)


@pytest.mark.parametrize("pack", ["ST-2020", "SC-2025"])
def test_a_village_has_exactly_the_people_of_its_size(pack: str) -> None:
    drawn = population(pack, SCRIPTS[pack].place)
    for each in drawn.villages[:3]:
        people = synthesise_village(1, each, SCRIPTS[pack]).residents
        assert len(people) == each.persons
        assert sum(one.exempt for one in people) == each.exempt
        assert sum(one.employee for one in people) == each.employees
        assert sum(one.pension_tier is not None for one in people) == each.pension


def test_a_small_scale_shrinks_every_village() -> None:
    small, whole = population(scale=0.05), population()
    assert len(small.villages) == len(whole.villages)
    assert small.persons < whole.persons / 10
    assert all(each.pension <= each.paying for each in small.villages)


def test_apportioned_numbers_keep_their_sum() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert sum(apportion(437854, [0.3, 7, 2.2, 11])) == 437854


@pytest.mark.parametrize(("place", "scale"), [("无此镇", 1.0), ("店子镇", 0.0), ("店子镇", 1.5)])
def test_a_population_that_cannot_be_is_refused(place: str, scale: float) -> None:
    with pytest.raises(ValueError, match=r"."):
        population("ST-2020", place, scale)


# -- who ------------------------------------------------------------------------------------------------


def test_every_number_is_valid_and_nobodys_twice() -> None:
    """GB 11643, birth and sex as the number says (I-03); nobody's twice in all villages of a town."""
    people = [
        each
        for size in population().villages
        for each in synthesise_village(1, size, SCRIPTS["ST-2020"]).each()
    ]
    assert len({each.number for each in people}) == len(people)
    assert len({each.ordinal for each in people}) == len(people)
    some = people[:2000]
    assert {identity_fault(each.number, REGISTERED_ON) for each in some} == {None}
    assert all(birth_of(each.number) == each.birth and sex_of(each.number) is each.sex for each in some)


@pytest.mark.parametrize("place", ["山亭区"])
def test_towns_never_share_a_number(place: str) -> None:
    """Numbers carry a county of their own per town."""
    found = population("ST-2020", place, 0.01)
    people = [
        each for size in found.villages for each in synthesise_village(1, size, SCRIPTS["ST-2020"]).each()
    ]
    assert len({each.number for each in people}) == len(people)


def test_who_takes_part_in_the_pension_may() -> None:
    """16 to 59, no student, no employee (002:L49, D-44)."""
    for each in village().residents:
        if each.pension_tier is not None:
            assert 16 <= full_years(each.birth, SCRIPTS["ST-2020"].age_on) <= 59
            assert not each.student
            assert not each.employee


def test_the_exempt_are_listed_or_old_and_nobody_else_is_for_hardship() -> None:
    for each in village().residents:
        categories = {listing.category for listing in each.listings}
        if each.exempt:
            assert categories - {"ELDERLY_60_69"}
        else:
            assert categories <= {"ELDERLY_60_69"}


def test_every_household_has_an_adult() -> None:
    for household in village().households:
        assert any(full_years(each.birth, SCRIPTS["ST-2020"].age_on) >= 22 for each in household.members)


def test_the_same_seed_gives_the_same_village_and_another_seed_another() -> None:
    assert village(5) == village(5)
    assert village(5) != village(6)
    assert village(5, 1) != village(5, 2)


def test_villages_are_kept_while_there_is_room_and_the_same_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of a campaign goes over all villages; those of a district beyond the room are drawn anew."""
    kept = plan(scale=0.02)
    first, last = kept.villages[0], kept.villages[-1]
    assert kept.village(last) is kept.village(last)
    monkeypatch.setattr(planning, "DRAWN_PERSONS", first.persons)
    fleeting = plan(scale=0.02)
    assert fleeting.village(last) is not fleeting.village(last)
    assert fleeting.village(last) == kept.village(last)
    assert sum(each.persons for each in fleeting.drawn) <= first.persons


def test_the_same_seed_gives_the_same_plan() -> None:
    first, second = plan(seed=5), plan(seed=5)
    assert list(first.households(first.cast)) == list(second.households(second.cast))
    assert (first.two_lists, first.mistyped) == (second.two_lists, second.mistyped)
    other = plan(seed=6)
    assert list(other.households(other.cast)) != list(first.households(first.cast))


# -- the plan -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("scale", [0.01, 0.3])
def test_every_injected_case_has_its_household(pack: str, scale: float) -> None:
    """Each role the pack can have is cast once, in the first village, with as many payers as it needs."""
    drawn = plan(pack, scale=scale)
    wanted = set(ROLES) - {YEAR_LATER}
    if not drawn.script.cash or drawn.script.fallback:
        wanted -= CASH_ROLES
    if drawn.script.fallback:
        wanted |= {FALLBACK}
        assert of_special_groups(drawn.roles[FALLBACK].household)
        assert drawn.roles[FALLBACK].channel == CASH
    if drawn.pack.notice("ROSTER") is None:
        wanted -= NOTICE_ROLES
    if drawn.pack.age_reference(ChannelKind.ONLINE).mode is AgeMode.PAYMENT_DATE:
        elder = next(each for each in drawn.village(drawn.cast).each() if each.ordinal == drawn.birthday)
        assert drawn.roles[BIRTHDAY].household.number == elder.household
        assert drawn.pack.collection.holds(elder.birth.replace(year=drawn.year - 1))
        assert birth_of(elder.number) == elder.birth
        wanted |= {BIRTHDAY}
    assert set(drawn.roles) == wanted
    assert len({each.household.number for each in drawn.roles.values()}) == len(wanted)
    for role, cast in drawn.roles.items():
        if role in (BIRTHDAY, FALLBACK):
            continue
        kind, offset, _, payers = ROLES[role]
        assert len(cast.payers) >= payers
        assert cast.on == (None if kind == "NOBODY" else drawn.day(offset))


def test_two_people_are_on_two_departments_lists_and_one_is_mistyped() -> None:
    """D-27: 残联 and 民政 both list the severely disabled."""
    drawn = plan()
    lists = lists_of_town(drawn, drawn.cast.town)
    federation = lists["DISABLED_FEDERATION", "SEVERELY_DISABLED", "medical"]
    affairs = lists["CIVIL_AFFAIRS", "SEVERELY_DISABLED", "medical"]
    both = {each.ordinal for each in federation} & {each.ordinal for each in affairs}
    assert both == set(drawn.two_lists)
    assert len(both) == 2
    assert drawn.mistyped not in both


@pytest.mark.parametrize("pack", PACKS)
def test_lists_name_departments_and_categories_of_the_pack(pack: str) -> None:
    script, given = SCRIPTS[pack], load_pack(pack)
    for rule in script.lists:
        assert given.category(rule.category) is not None, rule
        assert given.department(rule.department) is not None, rule
        assert rule.department in script.departments
    assert given.department(script.elderly.department) is not None
    assert {tier for tier, _ in script.tiers} <= set(given.tiers)


@pytest.mark.parametrize("pack", PACKS)
def test_channels_are_the_packs_own(pack: str) -> None:
    """1.7: no channel the plan does not name; agents only where they may."""
    script, given = SCRIPTS[pack], load_pack(pack)
    for share in script.channels:
        channel = given.channel(share.code)
        assert channel is not None, share
        assert (
            (ChannelKind.AGENT in channel.kinds) if share.by_agent else channel.kinds != (ChannelKind.AGENT,)
        )
    assert sum(share.weight for share in script.channels) == 100


@pytest.mark.parametrize("pack", PACKS)
def test_everybody_pays_on_a_day_the_pack_opens_his_channel(pack: str) -> None:
    """D-25, D-26, D-47: agents in the collecting phase, self-service in the window; pension in its own (D-13)."""
    drawn = plan(pack, scale=0.05)
    given = drawn.pack
    for size in drawn.villages[:4]:
        for each in drawn.households(size):
            if each.on is None:
                assert each.channel == NEVER
                continue
            agent = bool(each.agent)
            assert given.channel_allowed("medical", each.channel, each.on, by_agent=agent), each
            assert agent == (each.channel in drawn.script.at_hand)
            channel = given.channel(each.channel)
            if channel is not None and "pension" in channel.insurances:
                later = each.pension_on or each.on
                assert given.channel_allowed("pension", each.channel, later, by_agent=agent), each
