"""given a person and a tier, when asked of a pack, then the pension amount, payers and subsidies."""

from __future__ import annotations

import pytest

from shared.kernel.identity import Sex
from shared.policy import Insurance, Outcome

DAY = {
    "DZ-2018": "2017-11-20",
    "ST-2020": "2019-11-05",
    "DZ-2022": "2021-12-01",
    "YC-2023": "2022-11-01",
    "SC-2025": "2024-11-01",
}


@pytest.fixture
def pension(ask):
    """Ask about pension in the collection phase."""

    def _pension(pack_id, **known):
        known.setdefault("paid_at", DAY[pack_id])
        return ask(pack_id, insurance=Insurance.PENSION, **known)

    return _pension


def legs(answer):
    return {leg.payer.value: leg.fen for leg in answer.legs}


def codes(answer):
    return {warning.code for warning in answer.warnings}


@pytest.mark.parametrize(
    ("pack_id", "tier", "matching"),
    [
        ("DZ-2018", 800, 6500),
        ("ST-2020", 800, 6000),
        ("DZ-2022", 800, 8000),
        ("YC-2023", 800, 8000),
        ("SC-2025", 800, 8000),
        ("DZ-2018", 5000, 8000),
        ("SC-2025", 350, 3000),
    ],
)
def test_a_tier_and_its_matching_subsidy(pension, pack_id, tier, matching):
    """000:L85, 002:L65, 001:L52, 004:L96-98, 003:L29; I-26."""
    answer = pension(pack_id, tier_yuan=tier)
    assert (answer.outcome, legs(answer)) == (Outcome.DUE, {"person": tier * 100})
    assert (answer.matching_subsidy_fen, answer.family_planning_fen) == (matching, 0)
    assert (answer.entitled_from, answer.entitled_to, answer.late) == (None, None, False)


@pytest.mark.parametrize(
    ("pack_id", "tier"),
    [("SC-2025", 300), ("SC-2025", 600), ("DZ-2018", 350), ("ST-2020", 8000), ("YC-2023", 0)],
)
def test_a_tier_the_plan_has_not_is_refused(pension, pack_id, tier):
    """I-13."""
    refused = pension(pack_id, tier_yuan=tier)
    assert (refused.refusal.code, refused.refusal.rule) == ("TIER_NOT_ALLOWED", "TIER_NOT_IN_PACK")


@pytest.mark.parametrize("pack_id", sorted(DAY))
def test_an_ordinary_person_may_not_choose_100(pension, pack_id):
    """000:L75, 002:L59, 001:L52, 004:L90-94, 003:L29."""
    refused = pension(pack_id, tier_yuan=100)
    assert (refused.refusal.code, refused.refusal.rule) == ("TIER_NOT_ALLOWED", "LOWEST_TIER_GROUPS")
    assert refused.legs == ()


@pytest.mark.parametrize("pack_id", sorted(DAY))
def test_a_tier_must_be_chosen(pension, pack_id):
    """A person without a tier has no amount."""
    assert pension(pack_id).refusal.rule == "TIER_REQUIRED"


GOV_PAID = [
    ("DZ-2018", ["重残", "未标注脱贫", "低保", "特困", "五保"], "000:L75-81 D-30"),
    ("ST-2020", ["一级残疾", "未标注脱贫", "低保", "特困", "五保"], "002:L59-63"),
    ("DZ-2022", ["重度残疾人"], "001:L52"),
    ("YC-2023", ["重残", "扶贫户", "低保", "五保人员"], "004:L98-102"),
    ("SC-2025", ["重度残疾人"], "003:L29"),
]


@pytest.mark.parametrize(
    ("pack_id", "name", "clause"), [(p, n, c) for p, names, c in GOV_PAID for n in names]
)
def test_the_government_pays_the_lowest_tier(pension, pack_id, name, clause):
    """代缴 100 by finance, matching 30 on top (D-16)."""
    for tier in (None, 100):
        answer = pension(pack_id, categories=(name,), tier_yuan=tier)
        assert (answer.outcome, legs(answer)) == (Outcome.NOTHING_DUE, {"finance": 10000}), clause
        assert (answer.standard_fen, answer.personal_fen, answer.matching_subsidy_fen) == (10000, 0, 3000)


SELF_PAID = [
    ("DZ-2022", "优抚"),
    ("DZ-2022", "低保"),
    ("DZ-2022", "五保"),
    ("DZ-2022", "扶贫户"),
    ("DZ-2022", "残疾"),
    ("YC-2023", "优抚"),
    ("YC-2023", "三级残疾"),
]


@pytest.mark.parametrize(("pack_id", "name"), SELF_PAID)
def test_eligible_for_100_but_not_paid_for(pension, pack_id, name):
    """001:L52, 004:L92-102: pays 100 and gets 30."""
    answer = pension(pack_id, categories=(name,), tier_yuan=100)
    assert (legs(answer), answer.matching_subsidy_fen) == ({"person": 10000}, 3000)


@pytest.mark.parametrize(
    ("pack_id", "name"),
    [
        ("DZ-2018", "建档立卡"),
        ("DZ-2022", "特困人员"),
        ("YC-2023", "特困人员"),
        ("YC-2023", "孤儿"),
        ("SC-2025", "低保"),
    ],
)
def test_other_categories_may_not_choose_100(pension, pack_id, name):
    """D-30 and the printed groups."""
    assert pension(pack_id, categories=(name,), tier_yuan=100).refusal.rule == "LOWEST_TIER_GROUPS"


def test_an_open_list_may_be_widened_with_a_source(pension):
    """003:L29 says 等: lowest_tier_extra names further categories."""
    answer = pension(
        "SC-2025",
        categories=("低保",),
        tier_yuan=100,
        params={"lowest_tier_extra": "MINIMUM_LIVING,特困@街道通知"},
    )
    assert legs(answer) == {"person": 10000}
    closed = pension(
        "DZ-2022", categories=("特困",), tier_yuan=100, params={"lowest_tier_extra": "DESTITUTE@x"}
    )
    assert closed.refusal.rule == "LOWEST_TIER_GROUPS"


def test_a_higher_tier_for_the_government_paid(pension):
    """D-54: refused by default; with gov_paid_top_up the person pays the rest."""
    refused = pension("ST-2020", categories=("低保",), tier_yuan=500)
    assert (refused.refusal.code, refused.refusal.rule) == ("TIER_NOT_ALLOWED", "GOV_PAID_TOP_UP")
    answer = pension(
        "ST-2020", categories=("低保",), tier_yuan=500, params={"gov_paid_top_up": "true@区通知"}
    )
    assert (legs(answer), answer.matching_subsidy_fen) == ({"person": 40000, "finance": 10000}, 6000)


def test_no_matching_subsidy_on_government_money_by_parameter(pension):
    """D-16."""
    answer = pension("ST-2020", categories=("低保",), params={"gov_paid_matching": "false@区通知"})
    assert (legs(answer), answer.matching_subsidy_fen) == ({"finance": 10000}, 0)


def test_the_tiers_of_2020_are_provisional(pension):
    """D-06."""
    assert codes(pension("ST-2020", tier_yuan=300)) == {"PROVISIONAL"}
    assert codes(pension("DZ-2018", tier_yuan=300)) == set()


@pytest.mark.parametrize(
    ("known", "fen"),
    [
        ({"sex": Sex.FEMALE, "birth": "1972-12-31", "family_planning": "one-child"}, 30000),
        ({"sex": Sex.FEMALE, "birth": "1973-01-01", "family_planning": "one-child"}, 0),
        (
            {
                "sex": Sex.MALE,
                "birth": "1980-01-01",
                "spouse_birth": "1972-12-31",
                "family_planning": "two-daughters",
            },
            30000,
        ),
        (
            {
                "sex": Sex.MALE,
                "birth": "1965-01-01",
                "spouse_birth": "1973-01-01",
                "family_planning": "two-daughters",
            },
            0,
        ),
    ],
)
def test_family_planning_follows_the_wifes_age(pension, known, fen):
    """004:L102-103, D-15: 300 per spouse, wife 50 on 2022-12-31, whatever the tier."""
    for tier in (300, 5000):
        assert pension("YC-2023", tier_yuan=tier, **known).family_planning_fen == fen


def test_family_planning_without_proof_gives_nothing(pension):
    """The wife's age must be known."""
    for known in ({"sex": Sex.MALE}, {}):
        answer = pension("YC-2023", tier_yuan=300, family_planning="one-child", birth="1965-01-01", **known)
        assert (answer.family_planning_fen, codes(answer)) == (0, {"FAMILY_PLANNING_UNPROVEN"})


def test_family_planning_of_another_kind_is_refused(pension):
    """Two kinds only."""
    assert pension("YC-2023", tier_yuan=300, family_planning="three").refusal.rule == "FAMILY_PLANNING_KIND"


def test_family_planning_is_in_2023_only(pension):
    """I-26."""
    answer = pension(
        "SC-2025", tier_yuan=500, sex=Sex.FEMALE, birth="1970-01-01", family_planning="one-child"
    )
    assert (answer.family_planning_fen, codes(answer)) == (0, {"FAMILY_PLANNING_NOT_IN_PACK"})


def test_pension_after_the_window_has_no_late_rule(pension):
    """No plan has one: accepted and tagged until the year ends."""
    answer = pension("DZ-2018", tier_yuan=300, paid_at="2018-03-01", channel="SERVICE_COUNTER")
    assert (answer.late, legs(answer), codes(answer)) == (False, {"person": 30000}, {"OUT_OF_WINDOW"})
    assert pension("DZ-2018", tier_yuan=300, paid_at="2019-01-01").refusal.rule == "YEAR_OVER"


def test_the_pension_window_of_2025_is_the_collection_phase(pension):
    """D-13."""
    refused = pension("SC-2025", tier_yuan=500, paid_at="2024-10-10", channel="微信")
    assert (refused.refusal.code, refused.refusal.rule) == ("OUTSIDE_WINDOW", "BEFORE_WINDOW")
    assert pension("SC-2025", tier_yuan=500, paid_at="2024-10-11", channel="微信").outcome is Outcome.DUE
