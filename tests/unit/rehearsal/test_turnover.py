"""The year after: who is gone, who is older, who is new; and a campaign of nobody."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deploy.rehearsal.demo import (
    DemoOptions,
    NotRehearsedError,
    keep_year,
    kept_year,
    plan_of,
    write_next_pack,
)
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import YEAR_LATER, Plan, draw_plan, follow_plan, nobody
from deploy.rehearsal.report import report_of
from deploy.rehearsal.residents import Resident
from deploy.rehearsal.turnover import DIED, LEFT, MOVED, is_newborn
from shared.kernel.identity import check_character, full_years
from shared.policy import copy_to_year, load_pack
from tests.unit.rehearsal.test_report import summaries


@pytest.fixture(scope="module")
def first() -> Plan:
    """SC-2025 at a tenth, with another year to come."""
    return draw_plan(load_pack("SC-2025"), "", seed=1, scale=0.1, goes_on=True)


@pytest.fixture(scope="module")
def second(first: Plan) -> Plan:
    """Its year after."""
    return follow_plan(first, copy_to_year(first.pack, "SC-2026", 2026))


def people(plan: Plan) -> dict[int, Resident]:
    """Everybody by ordinal."""
    return {each.ordinal: each for size in plan.villages for each in plan.village(size).each()}


def test_the_days_are_a_year_later_and_every_name_is_its_own(first: Plan, second: Plan) -> None:
    """Two campaigns on the same databases share no key, order, agent's book or campaign."""
    assert second.script.days.open.replace(year=first.script.days.open.year) == first.script.days.open
    assert second.script.days.last.year == first.script.days.last.year + 1
    assert (first.campaign, second.campaign) == ("370406001-2025", "370406001-2026")
    assert (first.run, second.run) == ("1", "1y26")
    assert not set(first.agents(first.cast)) & set(second.agents(second.cast))


def test_who_is_gone_does_not_enrol_and_everybody_else_does(first: Plan, second: Plan) -> None:
    """Scenario 13: died, moved or left are missing; newborn are there; nobody else appears."""
    before, now = people(first), people(second)
    fates = {ordinal: second.turnover.fate(person) for ordinal, person in before.items()}
    assert set(fates.values()) == {"", DIED, MOVED, LEFT}
    assert set(now) - set(before) == {ordinal for ordinal in now if is_newborn(ordinal)}
    assert {ordinal for ordinal in before if ordinal not in now} == {
        ordinal for ordinal, fate in fates.items() if fate
    }
    told = [each for size in second.villages for each in second.turnover.gone(first.village(size), DIED)]
    dead = {
        role.payers[0].ordinal for name, role in first.roles.items() if name in ("paid_dead", "died_early")
    }
    assert dead <= {ordinal for ordinal, fate in fates.items() if fate == DIED}
    assert not dead & {each.ordinal for each in told}, "their deaths were told the year before"


def test_everybody_is_a_year_older(second: Plan) -> None:
    """D-43, D-44: from 60 on nobody is in the pension, from 70 on everybody is exempt and listed."""
    for person in people(second).values():
        if person.employee:
            continue
        age = full_years(person.birth, second.script.age_on)
        assert person.pension_tier is None or age <= 59
        if age >= 70:
            assert person.exempt
            assert [each.category for each in person.listings] == ["ELDERLY_70_PLUS"]


def test_newborn_have_numbers_of_their_own(first: Plan, second: Plan) -> None:
    """GB 11643: valid, and nobody's twice in the run."""
    born = [person for ordinal, person in people(second).items() if is_newborn(ordinal)]
    assert len(born) >= len(second.villages)
    assert all(each.number[17] == check_character(each.number[:17]) for each in born)
    numbers = {each.number for each in born}
    assert len(numbers) == len(born)
    assert not numbers & {each.number for each in people(first).values()}
    assert all(second.registers(each) for each in born)


def test_the_late_payer_of_the_year_before_has_no_part_this_year(first: Plan, second: Plan) -> None:
    """D-48: he goes on, and nothing injected happens to his household."""
    late = first.roles[YEAR_LATER]
    assert late.on is None
    assert late.household.number not in {role.household.number for role in second.roles.values()}
    assert second.turnover.fate(late.payers[0]) == ""
    assert YEAR_LATER not in second.roles


def test_the_pack_of_the_next_year_is_written_once(first: Plan, tmp_path: Path) -> None:
    """A copy marked synthetic, where the services look; what is there stays."""
    pack = write_next_pack(first, tmp_path / "packs")
    assert (pack.id, pack.insured_year) == ("SC-2026", 2026)
    path = tmp_path / "packs" / "SC-2026.yaml"
    written = path.read_text(encoding="utf-8")
    assert write_next_pack(first, tmp_path / "packs").digest == pack.digest
    assert path.read_text(encoding="utf-8") == written


@pytest.mark.parametrize(
    "changes", [{"pack": "ST-2020"}, {"empty": True}, {"packs": None}], ids=["pack", "empty", "no folder"]
)
def test_two_years_of_another_pack_are_not_rehearsed(changes: dict[str, object], tmp_path: Path) -> None:
    """A chain needs a pack whose copy is rehearsed, people, and a folder the services look into."""
    options = DemoOptions(tmp_path, tmp_path / "clients", scale=0.02, years=2, packs=tmp_path)
    assert plan_of(options).goes_on
    with pytest.raises(NotRehearsedError):
        plan_of(dataclasses.replace(options, **changes))  # type: ignore[arg-type]


def test_a_finished_year_is_kept_for_the_next_call(tmp_path: Path) -> None:
    """Cut off in the second year, the first is not run, audited or written again."""
    options = DemoOptions(tmp_path, tmp_path / "clients", years=2, packs=tmp_path)
    assert kept_year(options, 0) is None
    keep_year(options, 0, {"clean": True, "cpu": {"postgres": 1.5}})
    assert kept_year(options, 0) == {"clean": True, "cpu": {"postgres": 1.5}}
    assert kept_year(options, 1) is None


def test_a_plan_of_nobody_has_its_days_and_no_people(first: Plan) -> None:
    """What an empty campaign costs is taken off everybody's: it has nobody itself."""
    empty = nobody(first)
    report = report_of(empty, summaries(first, villages=(), days=(), targets=(), coverage=()))
    assert (list(people(empty)), dict(empty.roles), empty.script.days) == ([], {}, first.script.days)
    report.cpu_seconds, report.persons = {"collection": 2.0}, 0
    report.add_costs()
    assert (report.costs, report.cpu_ms_per_person) == ({}, 0.0)


def test_the_drivers_cpu_counts_those_that_were_killed(tmp_path: Path) -> None:
    """A resumed run: each driver until its last step."""
    first = Journal(tmp_path / "demo.sqlite")
    sum(number * number for number in range(300_000))
    first.finish("one", {})
    spent = first.cpu_seconds()
    first.close()
    again = Journal(tmp_path / "demo.sqlite")
    assert again.cpu_seconds() >= spent > 0
    again.close()
