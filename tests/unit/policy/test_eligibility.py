"""given who someone is, when asked, then insured or refused with the rule named (I-04, I-05)."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.policy import AssessmentRequest, Hukou, Insurance, Outcome, eligibility_refusal, load_pack

PACKS = ("DZ-2018", "ST-2020", "DZ-2022", "YC-2023", "SC-2025")
DAY = {
    "DZ-2018": "2017-11-20",
    "ST-2020": "2019-11-05",
    "DZ-2022": "2021-12-01",
    "YC-2023": "2022-11-01",
    "SC-2025": "2024-11-01",
}


def pension(ask, pack_id, **known):
    known.setdefault("paid_at", DAY[pack_id])
    known.setdefault("tier_yuan", 500)
    return ask(pack_id, insurance=Insurance.PENSION, **known)


@pytest.mark.parametrize("pack_id", PACKS)
def test_pension_starts_at_sixteen(ask, pack_id):
    """000:L64, 002:L49, 001:L42, 004:L70, 003:L26: on the day of payment."""
    day = DAY[pack_id]
    sixteen = f"{int(day[:4]) - 16}{day[4:]}"
    younger = f"{int(day[:4]) - 16}{day[4:8]}{int(day[8:]) + 1:02d}"
    assert pension(ask, pack_id, birth=sixteen).outcome is Outcome.DUE
    assert pension(ask, pack_id, birth=younger).refusal.code == "AGE_UNDER_16"


@pytest.mark.parametrize("pack_id", PACKS)
def test_pension_ends_before_sixty(ask, pack_id):
    """D-44: 59 on the age reference; the parameter is named in the explanation."""
    year = int(pack_id[-4:])
    oldest = pension(ask, pack_id, birth=f"{year - 60}-01-01")
    assert oldest.outcome is Outcome.DUE
    assert "PARAMETER_PENSION_AGE_MAX" in {line.rule for line in oldest.explanation}
    refused = pension(ask, pack_id, birth=f"{year - 61}-12-31")
    assert (refused.refusal.code, refused.refusal.rule) == ("AGE_OVER_MAX", "D-44")
    raised = pension(ask, pack_id, birth=f"{year - 61}-12-31", params={"pension_age_max": "65@x"})
    assert raised.outcome is Outcome.DUE


@pytest.mark.parametrize("pack_id", PACKS)
def test_students_are_outside_pension_and_inside_medical(ask, pack_id):
    """不含在校学生; DZ-2022 by the national rule (D-11)."""
    assert pension(ask, pack_id, student=True, birth="2000-01-01").refusal.code == "STUDENT"
    assert ask(pack_id, paid_at=DAY[pack_id], student=True, birth="2000-01-01").outcome is Outcome.DUE


@pytest.mark.parametrize("pack_id", PACKS)
def test_employee_cover_excludes(ask, pack_id):
    """D-34: per insurance line."""
    assert pension(ask, pack_id, employee_insured=True).refusal.code == "EMPLOYEE_INSURED"
    assert ask(pack_id, paid_at=DAY[pack_id], employee_insured=True).refusal.code == "EMPLOYEE_INSURED"


@pytest.mark.parametrize("pack_id", PACKS)
def test_a_hukou_elsewhere_needs_a_permit(ask, pack_id):
    """D-04, D-17: permits count for both insurances, but in YC-2023 for medical only."""
    day = DAY[pack_id]
    assert ask(pack_id, paid_at=day, hukou=Hukou.OUT).refusal.code == "HUKOU"
    assert ask(pack_id, paid_at=day, hukou=Hukou.OUT, permit=True).outcome is Outcome.DUE
    assert pension(ask, pack_id, hukou=Hukou.OUT).refusal.code == "HUKOU"
    with_permit = pension(ask, pack_id, hukou=Hukou.OUT, permit=True)
    if pack_id == "YC-2023":
        assert (with_permit.refusal.code, with_permit.refusal.clause) == ("HUKOU", "004:L70-74")
    else:
        assert with_permit.outcome is Outcome.DUE


@pytest.mark.parametrize("pack_id", PACKS)
def test_students_from_elsewhere_in_2018_only(ask, pack_id):
    """000:L62-64."""
    answer = ask(pack_id, paid_at=DAY[pack_id], hukou=Hukou.OUT, student=True)
    if pack_id == "DZ-2018":
        assert answer.outcome is Outcome.DUE
    else:
        assert answer.refusal.code == "HUKOU"


def test_paid_elsewhere(ask):
    """004:L80-82; the other plans are silent and say so."""
    assert ask("YC-2023", paid_at=DAY["YC-2023"], paid_elsewhere=True).refusal.code == "PAID_ELSEWHERE"
    answer = ask("ST-2020", paid_at=DAY["ST-2020"], paid_elsewhere=True)
    assert [warning.code for warning in answer.warnings] == ["PAID_ELSEWHERE_UNSPECIFIED"]


def test_dates_no_rule_can_meet(ask):
    """Before the window, after the year, before birth."""
    assert ask("ST-2020", paid_at="2019-09-30").refusal.rule == "BEFORE_WINDOW"
    assert ask("ST-2020", paid_at="2021-01-01").refusal.rule == "YEAR_OVER"
    assert ask("ST-2020", paid_at="2019-11-05", birth="2019-11-06").refusal.rule == "BIRTH_AFTER_PAYMENT"


@pytest.mark.parametrize(
    ("pack_id", "insurance", "channel"),
    [
        ("DZ-2018", "medical", "WECHAT"),
        ("DZ-2018", "pension", "HR_WEBSITE"),
        ("ST-2020", "medical", "YUNONGTONG"),
        ("ST-2020", "medical", "PIGEON"),
        ("YC-2023", "medical", "YUNONGTONG"),
        ("SC-2025", "medical", "CASH_AGENT"),
    ],
)
def test_a_channel_the_plan_does_not_name_is_refused(ask, pack_id, insurance, channel):
    """Channels by insurance (000:L125-127: the website is for medical only)."""
    refused = ask(
        pack_id, paid_at=DAY[pack_id], insurance=Insurance(insurance), tier_yuan=500, channel=channel
    )
    assert (refused.refusal.code, refused.refusal.rule) == ("CHANNEL_NOT_ALLOWED", "CHANNEL_NOT_NAMED")


@pytest.mark.parametrize(
    ("paid_at", "channel", "allowed"),
    [
        ("2019-10-01", "微信", True),
        ("2019-10-25", "CASH_AGENT", False),
        ("2019-10-26", "CASH_AGENT", True),
        ("2019-11-20", "cash-agent", True),
        ("2019-11-21", "CASH_AGENT", False),
        ("2019-12-20", "ALIPAY", True),
    ],
)
def test_agents_collect_in_the_collection_phase(ask, paid_at, channel, allowed):
    """D-25, D-47: agents to 11-20, self-service to 12-20."""
    answer = ask("ST-2020", paid_at=paid_at, channel=channel)
    if allowed:
        assert answer.outcome is Outcome.DUE
    else:
        assert (answer.refusal.code, answer.refusal.rule) == ("CHANNEL_NOT_ALLOWED", "CHANNEL_NOT_OPEN")


def test_whoever_owes_nothing_needs_no_open_channel(ask):
    """No money changes hands."""
    assert (
        ask("ST-2020", paid_at="2019-11-22", channel="CASH_AGENT", categories=("低保",)).outcome
        is Outcome.NOTHING_DUE
    )


@pytest.mark.parametrize(
    ("params", "rule"),
    [
        ({"no_such": "1"}, "PARAMETER_UNKNOWN"),
        ({"fiscal_subsidy": "much"}, "PARAMETER_INVALID"),
        ({"fiscal_subsidy": "-1"}, "PARAMETER_INVALID"),
        ({"fiscal_subsidy": True}, "PARAMETER_INVALID"),
        ({"late_wait_days": "99999999"}, "PARAMETER_INVALID"),
        ({"late_from": "soon"}, "PARAMETER_INVALID"),
        ({"late_relief": "MAYBE"}, "PARAMETER_INVALID"),
        ({"gov_paid_top_up": "perhaps"}, "PARAMETER_INVALID"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(ask, params, rule):
    """The value itself never enters the refusal."""
    refused = ask("ST-2020", paid_at="2019-11-05", params=params)
    assert (refused.refusal.code, refused.refusal.rule) == ("INVALID_REQUEST", rule)
    assert not any(str(value) in refused.refusal.message for value in params.values())


def test_registration_asks_without_window_or_tier():
    """I-04 on the day of registration, which may lie outside the window."""
    day = dt.date(2019, 7, 1)
    grown = AssessmentRequest(insurance=Insurance.PENSION, birth=dt.date(1990, 1, 1), paid_at=day)
    assert eligibility_refusal(load_pack("ST-2020"), grown) is None
    child = AssessmentRequest(insurance=Insurance.PENSION, birth=dt.date(2010, 1, 1), paid_at=day)
    assert eligibility_refusal(load_pack("ST-2020"), child).code == "AGE_UNDER_16"
