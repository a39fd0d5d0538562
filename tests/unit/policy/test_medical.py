"""given a person, when asked of a pack, then the amount, the payers and the cover of medical insurance."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.policy import Aid, Outcome, Payer

IN_WINDOW = {
    "DZ-2018": "2017-11-20",
    "ST-2020": "2019-11-05",
    "DZ-2022": "2021-12-01",
    "YC-2023": "2022-11-01",
    "SC-2025": "2024-11-01",
}
LATE = {
    "DZ-2018": "2018-01-15",
    "ST-2020": "2020-01-15",
    "DZ-2022": "2022-01-15",
    "YC-2023": "2023-01-15",
    "SC-2025": "2025-01-15",
}
FISCAL = {"medical_fiscal_subsidy_yuan": "500@test source"}


def legs(answer):
    return {leg.payer.value: leg.fen for leg in answer.legs}


def codes(answer):
    return {warning.code for warning in answer.warnings}


@pytest.mark.parametrize(
    ("pack_id", "fen"),
    [("DZ-2018", 18000), ("ST-2020", 26000), ("DZ-2022", 32000), ("YC-2023", 35000), ("SC-2025", 40000)],
)
def test_an_ordinary_person_pays_the_standard_and_is_covered_all_year(ask, pack_id, fen):
    """000:L91-93, 002:L69-71, 001:L54, 004:L105-107, 003:L30-32; I-25."""
    answer = ask(pack_id, paid_at=IN_WINDOW[pack_id])
    year = int(pack_id[-4:])
    assert (answer.outcome, answer.personal_fen, legs(answer)) == (Outcome.DUE, fen, {"person": fen})
    assert (answer.entitled_from, answer.entitled_to) == (dt.date(year, 1, 1), dt.date(year, 12, 31))
    assert not answer.late
    assert answer.warnings == ()
    assert {line.rule for line in answer.explanation} >= {"ROUTE_HUKOU", "MEDICAL_STANDARD", "ENTITLEMENT"}


EXEMPT = [
    ("DZ-2018", ["建档立卡", "低保", "五保", "重度残疾人"], "000:L93-98"),
    (
        "ST-2020",
        [
            "建档立卡",
            "城乡最低生活保障对象",
            "农村五保",
            "重残",
            "因病造成生活特别困难",
            "建档立卡未标注脱贫的贫困人口",
        ],
        "002:L71-77",
    ),
    ("ST-2020", ["特困人员", "优抚", "孤儿"], "D-07"),
    (
        "DZ-2022",
        ["建档立卡", "享受政策人员", "特困人员", "低保", "重度残疾人", "ILLNESS_HARDSHIP", "五保"],
        "001:L54-56",
    ),
    (
        "YC-2023",
        [
            "已脱贫仍享受脱贫政策人口",
            "五保",
            "重残",
            "重点优抚对象",
            "特困人员",
            "低保",
            "孤儿",
            "事实无人抚养儿童",
            "illness-hardship",
        ],
        "004:L107-121",
    ),
    (
        "SC-2025",
        ["特困人员", "低保", "返贫致贫人口", "低保边缘家庭成员", "防止返贫监测帮扶对象"],
        "003:L30 D-14",
    ),
]


@pytest.mark.parametrize(("pack_id", "name", "clause"), [(p, n, c) for p, names, c in EXEMPT for n in names])
def test_a_relieved_category_owes_nothing(ask, pack_id, name, clause):
    """Full relief by code, Chinese term or alias; one government leg of the whole standard (I-11, I-12)."""
    answer = ask(pack_id, paid_at=IN_WINDOW[pack_id], categories=(name,))
    assert (answer.outcome, answer.personal_fen) == (Outcome.NOTHING_DUE, 0), clause
    assert len(answer.legs) == 1
    assert answer.legs[0].payer in (Payer.FINANCE, Payer.DEPARTMENT)
    assert answer.legs[0].fen == answer.standard_fen


NOT_RELIEVED = [
    ("DZ-2018", "特困人员", "D-30"),
    ("DZ-2018", "优抚", "000:L93-98"),
    ("DZ-2018", "孤儿", "000:L93-98"),
    ("DZ-2022", "优抚", "001:L54-56"),
    ("DZ-2022", "残疾", "001:L54-56"),
    ("YC-2023", "残疾", "004:L113-119"),
    ("SC-2025", "重度残疾人", "D-18"),
    ("SC-2025", "优抚", "D-18"),
    ("SC-2025", "孤儿", "D-18"),
]


@pytest.mark.parametrize(("pack_id", "name", "clause"), NOT_RELIEVED)
def test_a_category_the_list_omits_pays_the_standard(ask, pack_id, name, clause):
    """By letter no relief; the clerk is told."""
    answer = ask(pack_id, paid_at=IN_WINDOW[pack_id], categories=(name,))
    assert answer.personal_fen == answer.standard_fen, clause
    assert codes(answer) == {"CATEGORY_WITHOUT_RELIEF"}


def test_an_unknown_category_is_refused(ask):
    """A misspelt category must not become the full price."""
    answer = ask("ST-2020", paid_at=IN_WINDOW["ST-2020"], categories=("低宝",))
    assert (answer.outcome, answer.refusal.rule, answer.refusal.field) == (
        Outcome.REFUSED,
        "CATEGORY_UNKNOWN",
        "categories",
    )


def test_two_departments_list_one_person_and_one_pays(ask):
    """D-27, I-11: 残联 and 民政 both list; the legs hold one payer."""
    answer = ask(
        "ST-2020", paid_at=IN_WINDOW["ST-2020"], categories=("重残", "低保"), listed=("区残联", "区民政局")
    )
    assert legs(answer) == {"finance": 26000}


@pytest.mark.parametrize(
    ("birth", "personal", "rule"),
    [
        ("1937-12-31", 0, "AGE_80_PLUS"),
        ("1938-01-01", 2000, "AGE_70_79"),
        ("1947-12-31", 2000, "AGE_70_79"),
        ("1948-01-01", 9000, "AGE_60_69"),
        ("1957-12-31", 9000, "AGE_60_69"),
        ("1958-01-01", 18000, "MEDICAL_STANDARD"),
    ],
)
def test_bands_of_2018_at_their_edges(ask, birth, personal, rule):
    """000:L97-104: 20, 90 and 0, both cut-off days inside (D-08)."""
    answer = ask("DZ-2018", birth=birth, paid_at="2017-11-20", channel="CASH_AGENT")
    assert (answer.personal_fen, answer.standard_fen) == (personal, 18000)
    assert {leg.rule for leg in answer.legs} == {rule}


def test_whoever_receives_the_allowance_pays_in_full(ask):
    """D-08: 70–79 with 老龄补贴; over 80 the allowance does not matter."""
    assert (
        ask("DZ-2018", birth="1942-01-01", paid_at="2017-11-20", categories=("老龄补贴",)).personal_fen
        == 18000
    )
    assert (
        ask("DZ-2018", birth="1932-01-01", paid_at="2017-11-20", categories=("老龄补贴",)).personal_fen == 0
    )


@pytest.mark.parametrize(
    "known", [{"birth": "1950-01-01"}, {"birth": "1930-01-01"}, {"categories": ("低保",)}]
)
def test_paying_online_forfeits_relief_in_2018(ask, known):
    """000:L129-131."""
    answer = ask("DZ-2018", paid_at="2017-11-20", channel="HR_WEBSITE", **known)
    assert legs(answer) == {"person": 18000}
    assert codes(answer) == {"RELIEF_FORFEITED_ONLINE"}


@pytest.mark.parametrize(
    ("birth", "listed", "personal"),
    [
        ("1955-06-01", (), 26000),
        ("1955-06-01", ("区卫健局",), 13000),
        ("1955-06-01", ("HEALTH",), 13000),
        ("1955-06-01", ("区民政局",), 26000),
        ("1945-06-01", ("区卫健局",), 0),
        ("1945-06-01", (), 26000),
        ("1980-06-01", ("区卫健局",), 26000),
    ],
)
def test_elderly_of_2020_are_relieved_by_list_only(ask, birth, listed, personal):
    """D-58: listed 60–69 → 130/130, 70+ → 0/260; not on a list → 260."""
    answer = ask("ST-2020", birth=birth, paid_at="2019-11-05", listed=listed)
    assert answer.personal_fen == personal
    if 0 < personal < 26000:
        assert legs(answer) == {"person": 13000, "finance": 13000}
        assert next(x for x in answer.explanation if x.rule == "LISTED_60_69").reading == "inferred"


def test_a_mark_from_the_list_counts_as_the_list(ask):
    """002:L349: being marked 60-69周岁财政补贴人员 means standing on 卫健局's list."""
    for known in ({"categories": ("60-69周岁财政补贴人员",)}, {"listed": ("ELDERLY_60_69",)}):
        assert ask("ST-2020", birth="1955-06-01", paid_at="2019-11-05", **known).personal_fen == 13000


def test_inferred_amounts_are_parameters(ask):
    """D-58's amounts ship as parameters with their source and can be set otherwise."""
    answer = ask(
        "ST-2020",
        birth="1955-06-01",
        paid_at="2019-11-05",
        listed=("HEALTH",),
        params={"listed_60_69_yuan": "100@区通知"},
    )
    assert legs(answer) == {"person": 10000, "finance": 16000}
    line = next(x for x in answer.explanation if x.rule == "PARAMETER_LISTED_60_69_YUAN")
    assert (line.clause, line.reading) == ("EXT:区通知", "external")


@pytest.mark.parametrize(
    ("channel", "birth", "paid_at", "personal", "hold"),
    [
        ("微信", "1962-12-01", "2022-11-01", 35000, True),
        ("微信", "1962-12-01", "2022-11-30", 35000, True),
        ("微信", "1962-12-01", "2022-12-01", 17500, False),
        ("CASH_AGENT", "1962-12-01", "2022-11-01", 17500, False),
        ("SERVICE_COUNTER", "1962-12-01", "2022-11-01", 17500, False),
        (None, "1962-12-01", "2022-11-01", 17500, False),
        ("支付宝", "1952-12-01", "2022-11-01", 17500, True),
        ("支付宝", "1952-12-01", "2022-12-02", 0, False),
        ("微信", "1963-01-01", "2022-11-01", 35000, False),
    ],
)
def test_the_birthday_of_2023(ask, channel, birth, paid_at, personal, hold):
    """004:L203-207, D-43: online the age on the payment date, with a hold until the birthday."""
    answer = ask("YC-2023", birth=birth, paid_at=paid_at, channel=channel)
    assert answer.personal_fen == personal
    assert ("BIRTHDAY_HOLD" in codes(answer)) is hold


def test_a_relieved_category_needs_no_birthday(ask):
    """The hold is for reliefs by age."""
    assert (
        codes(ask("YC-2023", birth="1962-12-01", paid_at="2022-11-01", channel="微信", categories=("孤儿",)))
        == set()
    )


@pytest.mark.parametrize("pack_id", ["DZ-2022", "SC-2025"])
@pytest.mark.parametrize(("years", "share"), [(59, 1), (60, 2), (69, 2), (70, 0)])
def test_age_on_the_last_day_before_the_year(ask, pack_id, years, share):
    """D-43: 31 December of N−1, also for those whose birthday is that day."""
    year = int(pack_id[-4:])
    answer = ask(pack_id, birth=f"{year - 1 - years}-12-31", paid_at=IN_WINDOW[pack_id], channel="微信")
    assert answer.personal_fen == (answer.standard_fen // share if share else 0)


@pytest.mark.parametrize("name", ["返贫致贫人口", "低保边缘", "防返贫监测对象"])
def test_fixed_aid_of_2023_must_be_set(ask, name):
    """D-14: three categories get fixed aid only: 350 − F, F not printed."""
    refused = ask("YC-2023", paid_at="2022-11-01", categories=(name,))
    assert (refused.refusal.code, refused.refusal.rule) == ("POLICY_UNSPECIFIED", "FIXED_AID_UNKNOWN")
    answer = ask(
        "YC-2023", paid_at="2022-11-01", categories=(name,), params={"fixed_aid_yuan": "150@区医保局"}
    )
    assert legs(answer) == {"person": 20000, "department": 15000}


def test_low_income_of_2023_stacks_aid_and_government(ask):
    """D-14: fixed aid first, the local government the rest, net 0; one leg while F is unset."""
    unset = ask("YC-2023", paid_at="2022-11-01", categories=("低保",))
    assert legs(unset) == {"finance": 35000}
    assert codes(unset) == {"FIXED_AID_SPLIT_UNKNOWN"}
    answer = ask("YC-2023", paid_at="2022-11-01", categories=("低保",), params={"F": "150@区医保局"})
    assert legs(answer) == {"department": 15000, "finance": 20000}
    assert codes(answer) == set()


def test_the_destitute_of_2023_are_aided_in_full(ask):
    """004:L107-109."""
    assert legs(ask("YC-2023", paid_at="2022-11-01", categories=("特困",))) == {"department": 35000}


def test_the_better_relief_wins(ask):
    """An aided category of 70 years pays nothing, although the aid itself is unknown."""
    answer = ask("YC-2023", birth="1950-01-01", paid_at="2022-11-01", categories=("低保边缘",))
    assert legs(answer) == {"finance": 35000}
    half = ask(
        "YC-2023", birth="1960-01-01", paid_at="2022-11-01", categories=("低保边缘",), params={"F": "300@x"}
    )
    assert half.personal_fen == 5000


def test_a_department_list_relieves_in_2025(ask):
    """D-18: not by category, but by a list entry whose department is recorded."""
    answer = ask("SC-2025", paid_at="2024-11-01", categories=("重残",), listed=("残联",))
    assert legs(answer) == {"finance": 40000}


@pytest.mark.parametrize("pack_id", ["DZ-2018", "ST-2020", "DZ-2022"])
def test_late_needs_the_fiscal_subsidy(ask, pack_id):
    """D-21: refused while unset; with it the full cost, a wait of 30 days."""
    refused = ask(pack_id, paid_at=LATE[pack_id])
    assert (refused.outcome, refused.refusal.code, refused.refusal.rule) == (
        Outcome.REFUSED,
        "POLICY_UNSPECIFIED",
        "FISCAL_SUBSIDY_UNKNOWN",
    )
    assert "medical_fiscal_subsidy_yuan" in refused.refusal.message
    answer = ask(pack_id, paid_at=LATE[pack_id], params=FISCAL)
    year = int(pack_id[-4:])
    assert answer.late
    assert legs(answer) == {"person": answer.standard_fen}
    assert answer.standard_fen == ask(pack_id, paid_at=IN_WINDOW[pack_id]).standard_fen + 50000
    assert answer.entitled_from == dt.date(year, 2, 14)


def test_a_parameter_without_a_source_is_told(ask):
    """A value from nowhere is used, with a warning."""
    answer = ask("ST-2020", paid_at=LATE["ST-2020"], params={"fiscal_subsidy": 500})
    assert answer.personal_fen == 76000
    assert codes(answer) == {"PARAMETER_WITHOUT_SOURCE"}


def test_late_in_2023_pays_the_personal_part_and_waits_three_months(ask):
    """004:L133-137, D-23: 31 January + 3 months = 30 April; 1 January is late (D-51)."""
    answer = ask("YC-2023", paid_at="2023-01-31")
    assert (answer.personal_fen, answer.late, answer.entitled_from) == (35000, True, dt.date(2023, 4, 30))
    assert ask("YC-2023", paid_at="2023-01-01").entitled_from == dt.date(2023, 4, 1)


def test_late_in_2025_by_the_national_rule(ask):
    """D-48: 400 and 3 months, both parameters."""
    answer = ask("SC-2025", paid_at="2025-02-10")
    assert (answer.personal_fen, answer.entitled_from) == (40000, dt.date(2025, 5, 10))
    other = ask(
        "SC-2025", paid_at="2025-02-10", params={"late_amount_yuan": "1070@x", "late_wait_months": "6@x"}
    )
    assert (other.personal_fen, other.entitled_from) == (107000, dt.date(2025, 8, 10))


def test_the_gap_of_2023(ask):
    """D-22: 12-21..12-31 at 350, no wait, tagged."""
    for day in ("2022-12-21", "2022-12-31"):
        answer = ask("YC-2023", paid_at=day, channel="微信")
        assert (answer.personal_fen, answer.late, answer.entitled_from) == (35000, False, dt.date(2023, 1, 1))
        assert codes(answer) == {"OUT_OF_WINDOW"}


def test_late_by_the_letter_from_the_21st_or_by_parameter_from_january(ask):
    """D-22: 2020 and 2022 late from 12-21; late_from moves it."""
    assert ask("ST-2020", paid_at="2019-12-20").late is False
    assert ask("ST-2020", paid_at="2019-12-21", params=FISCAL).late is True
    moved = ask("ST-2020", paid_at="2019-12-21", params={"late_from": "2020-01-01@市规定"})
    assert (moved.late, moved.personal_fen, codes(moved)) == (False, 26000, {"OUT_OF_WINDOW"})


def test_a_late_payment_before_january_waits_at_least_to_the_first(ask):
    """I-25: max(1 January, paid + wait)."""
    assert ask(
        "ST-2020", paid_at="2019-12-21", params=FISCAL | {"late_wait_days": "5@x"}
    ).entitled_from == dt.date(2020, 1, 1)
    assert ask("ST-2020", paid_at="2019-12-21", params=FISCAL).entitled_from == dt.date(2020, 1, 20)


def test_civil_counting_is_a_day_later(ask):
    """D-23."""
    params = FISCAL | {"wait_counting": "CIVIL@民法典"}
    assert ask("DZ-2018", paid_at="2018-01-15", params=params).entitled_from == dt.date(2018, 2, 15)


def test_a_wait_beyond_the_year_is_refused(ask):
    """D-50: it buys no cover; the last useful day is accepted."""
    assert ask("YC-2023", paid_at="2023-09-30").entitled_from == dt.date(2023, 12, 30)
    refused = ask("YC-2023", paid_at="2023-10-31")
    assert (refused.refusal.code, refused.refusal.rule) == ("OUTSIDE_WINDOW", "WAIT_BEYOND_YEAR")
    assert ask("ST-2020", paid_at="2020-12-01", params=FISCAL).entitled_from == dt.date(2020, 12, 31)
    assert ask("ST-2020", paid_at="2020-12-02", params=FISCAL).refusal.rule == "WAIT_BEYOND_YEAR"


@pytest.mark.parametrize("pack_id", sorted(LATE))
def test_a_late_payer_with_relief_is_refused_until_decided(ask, pack_id):
    """D-49: late_relief, KEPT or LOST."""
    known = {"paid_at": LATE[pack_id], "categories": ("低保",)}
    params = FISCAL if pack_id in ("DZ-2018", "ST-2020", "DZ-2022") else {}
    refused = ask(pack_id, params=params, **known)
    assert (refused.refusal.code, refused.refusal.rule) == ("POLICY_UNSPECIFIED", "LATE_RELIEF_UNSPECIFIED")
    lost = ask(pack_id, params=params | {"late_relief": "LOST@区通知"}, **known)
    assert legs(lost) == {"person": lost.standard_fen}
    kept = ask(pack_id, params=params | {"late_relief": "kept@区通知"}, **known)
    assert kept.personal_fen == (50000 if params else 0)
    assert kept.standard_fen == lost.standard_fen


def test_an_extended_window_is_not_late(ask):
    """No retroactive late charge inside the new window; late starts the day after it."""
    inside = ask("ST-2020", paid_at="2020-01-10", extended_to="2020-01-15")
    assert (inside.late, inside.personal_fen, inside.warnings) == (False, 26000, ())
    assert ask("ST-2020", paid_at="2020-01-16", extended_to="2020-01-15", params=FISCAL).late is True


def test_a_newborn_is_covered_from_birth(ask):
    """I-25, newborn_window_months: personal part inside six months, then the late rule."""
    answer = ask("ST-2020", birth="2020-03-10", paid_at="2020-09-10")
    assert (answer.personal_fen, answer.late, answer.entitled_from) == (26000, False, dt.date(2020, 3, 10))
    assert ask("ST-2020", birth="2020-03-10", paid_at="2020-09-11").refusal.rule == "FISCAL_SUBSIDY_UNKNOWN"


def test_2018_says_nothing_of_newborns(ask):
    """000 has no newborn rule: the late rule holds."""
    assert ask("DZ-2018", birth="2018-02-01", paid_at="2018-03-01").refusal.rule == "FISCAL_SUBSIDY_UNKNOWN"


def test_a_village_or_a_sponsor_may_take_over_the_persons_part(ask):
    """001:L56, 004:L123-127, 003:L30; I-12."""
    aid = (Aid(Payer.VILLAGE, 10000), Aid(Payer.SPONSOR, 50000))
    answer = ask("DZ-2022", paid_at="2021-12-01", aid=aid)
    assert legs(answer) == {"village": 10000, "sponsor": 22000}
    assert answer.outcome is Outcome.NOTHING_DUE
    part = ask("YC-2023", paid_at="2022-11-01", aid=aid[:1])
    assert legs(part) == {"person": 25000, "village": 10000}


def test_aid_where_the_plan_is_silent_is_refused(ask):
    """000 and 002 do not mention aid."""
    refused = ask("ST-2020", paid_at="2019-11-05", aid=(Aid(Payer.VILLAGE, 10000),))
    assert (refused.refusal.code, refused.refusal.rule) == ("POLICY_UNSPECIFIED", "SPONSOR_AID_UNSPECIFIED")


@pytest.mark.parametrize(
    "aid",
    [(Aid(Payer.FINANCE, 100),), (Aid(Payer.VILLAGE, 0),), (Aid(Payer.VILLAGE, 1), Aid(Payer.VILLAGE, 1))],
)
def test_invalid_aid_is_refused(ask, aid):
    """One leg per payer, positive, and no government money as a gift (I-12)."""
    assert ask("DZ-2022", paid_at="2021-12-01", aid=aid).refusal.rule == "AID_INVALID"
