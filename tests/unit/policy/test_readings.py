"""Readings of what the plans leave open that no other test of policy asks for by number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.policy import Assessment, Outcome, load_pack, load_packs

Ask = Callable[..., Assessment]


@pytest.mark.parametrize(
    ("grade", "personal_fen"), [("一级残疾", 0), ("二级残疾", 0), ("三级残疾", 26_000), ("四级残疾", 26_000)]
)
def test_grades_one_and_two_are_severe(ask: Ask, grade: str, personal_fen: int) -> None:
    """D-28: 一、二级以上 and 二级以上 both mean grades 1 and 2 (002:L73)."""
    answer = ask("ST-2020", paid_at="2019-11-05", categories=(grade,))
    assert answer.personal_fen == personal_fen


@pytest.mark.parametrize("category", ["特困", "优抚", "孤儿"])
def test_further_listed_categories_of_2020_are_relieved(ask: Ask, category: str) -> None:
    """D-07: a list of 民政's relieves them; the amount is an inferred parameter (002:L359-372)."""
    listed = ask("ST-2020", paid_at="2019-11-05", categories=(category,), listed=("民政",))
    assert (listed.personal_fen, listed.legs[-1].fen) == (0, 26_000)
    assert any(line.discrepancy == "D-07" for line in listed.explanation)


def test_sixty_to_sixty_nine_follows_from_the_birth_date_in_2023(ask: Ask) -> None:
    """D-32: nobody supplies that list in YC-2023; no list is asked for."""
    answer = ask("YC-2023", birth="1957-03-01", paid_at="2022-11-01")
    assert (answer.outcome, answer.personal_fen) == (Outcome.DUE, 17_500)


def test_who_enters_in_2018_is_the_town_office() -> None:
    """D-31: the town office enters; a village operator is optional."""
    step = next(step for step in load_pack("DZ-2018").flow if step.step == "ENTER")
    assert (step.actor, step.discrepancy) == ("TOWN_OFFICE", "D-31")


def test_either_counter_takes_a_declaration_in_2020() -> None:
    """D-35: the agent, the town's agency and the tax counter stand beside each other; ``via`` is recorded."""
    step = next(step for step in load_pack("ST-2020").flow if step.step == "DECLARE")
    assert {"TOWN_AGENCY", "TAX"} <= set(step.actor.split())
    assert step.discrepancy == "D-35"


def test_2022_prints_no_notice() -> None:
    """D-37: a notice is optional in this pack; no kind has a period."""
    pack = load_pack("DZ-2022")
    assert {pack.notice_days(kind) for kind in ("ROSTER", "PRE_DECLARATION", "POST_TREASURY")} == {None}


def test_the_health_department_supplies_the_couples_of_2023() -> None:
    """D-57: inferred; the spouse is linked by birth date when a credit is assessed."""
    pack = load_pack("YC-2023")
    health = pack.department("卫健局")
    assert health is not None
    assert health.discrepancy == "D-57"


def test_nobody_is_found_by_name() -> None:
    """D-38: two people may bear one name; no pack keys a category, department or list by a person's name."""
    chosen = {reading.id: reading.choice for reading in load_pack("YC-2023").document.readings}
    assert "never by name" in chosen["D-38"]


def test_offices_between_town_and_village_are_no_divisions() -> None:
    """D-55: every place of a pack is a town; what stands between is an organisation's scope."""
    for pack in load_packs().values():
        assert all(len(place.division) == 9 for place in pack.document.places)
