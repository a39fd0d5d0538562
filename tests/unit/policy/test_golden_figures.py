"""Every figure of the five plans, cited (§1 of the facts: standards, tiers, windows, targets…)."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.kernel.money import yuan
from shared.policy import AssessmentRequest, Insurance, Payer, assess, load_pack, load_packs
from shared.policy.terms import LateAmount, NoticeKind, PhaseKind

PACKS = ("DZ-2018", "ST-2020", "DZ-2022", "YC-2023", "SC-2025")

STANDARDS = [
    ("DZ-2018", None, 180, None, "000:L91"),
    ("ST-2020", None, 260, None, "002:L69"),
    ("DZ-2022", None, 320, None, "001:L54"),
    ("YC-2023", 960, 350, 610, "004:L105-107"),
    ("SC-2025", 1070, 400, 670, "003:L30"),
]

TIERS = {
    "DZ-2018": {
        100: 30,
        300: 30,
        500: 60,
        600: 60,
        800: 65,
        1000: 65,
        1500: 70,
        2000: 70,
        2500: 75,
        3000: 75,
        4000: 80,
        5000: 80,
    },
    "ST-2020": {100: 30, 300: 30}
    | dict.fromkeys((500, 600, 800, 1000, 1500, 2000, 2500, 3000, 4000, 5000), 60),
    "DZ-2022": {100: 30, 300: 30, 500: 60, 600: 60}
    | dict.fromkeys((800, 1000, 1500, 2000, 2500, 3000, 4000, 5000), 80),
    "YC-2023": {100: 30, 300: 30, 500: 60, 600: 60}
    | dict.fromkeys((800, 1000, 1500, 2000, 2500, 3000, 4000, 5000), 80),
    "SC-2025": {100: 30, 350: 30, 500: 60, 800: 80, 1000: 80, 3000: 80, 5000: 80, 8000: 80},
}

IDENTITY = [
    ("DZ-2018", "店政发〔2017〕49号", "店子镇人民政府", "2017-11-06", 2018, "370406101", "000:L1-16"),
    ("ST-2020", None, None, None, 2020, "370406", "D-01"),
    ("DZ-2022", "店政发〔2021〕24号", "店子镇人民政府", "2021-10-31", 2022, "370406101", "001:L1-10"),
    ("YC-2023", "峄政办发〔2022〕8号", "峄城区人民政府办公室", "2022-10-15", 2023, "370404", "004:L3-19"),
    ("SC-2025", "山城办发〔2024〕18号", "山城街道办事处", "2024-10-18", 2025, "370406001", "003:L7-106"),
]

WINDOWS = [
    ("DZ-2018", "medical", "2017-10-01", "2017-12-31", 92, "000:L108"),
    ("DZ-2018", "pension", "2017-10-01", "2017-12-31", 92, "000:L108"),
    ("ST-2020", "medical", "2019-10-01", "2019-12-20", 81, "002:L81"),
    ("ST-2020", "pension", "2019-10-01", "2019-12-20", 81, "002:L81"),
    ("DZ-2022", "medical", "2021-11-01", "2021-12-20", 50, "001:L60"),
    ("DZ-2022", "pension", "2021-11-01", "2021-12-20", 50, "001:L60"),
    ("YC-2023", "medical", "2022-10-01", "2022-12-20", 81, "004:L131"),
    ("YC-2023", "pension", "2022-10-01", "2022-12-20", 81, "004:L131"),
    ("SC-2025", "medical", "2024-09-01", "2024-12-31", 122, "003:L32"),
    ("SC-2025", "pension", "2024-10-11", "2024-12-31", 82, "D-13"),
]

PHASES = [
    ("DZ-2018", PhaseKind.PREPARATION, "2017-10-19", "2017-11-06", 19, "000:L249"),
    ("DZ-2018", PhaseKind.COLLECTION, "2017-11-07", "2017-12-10", 34, "000:L259"),
    ("DZ-2018", PhaseKind.DATA_ENTRY, "2017-12-11", "2017-12-31", 21, "000:L270"),
    ("ST-2020", PhaseKind.PREPARATION, "2019-10-01", "2019-10-25", 25, "002:L400"),
    ("ST-2020", PhaseKind.COLLECTION, "2019-10-26", "2019-11-20", 26, "002:L410"),
    ("ST-2020", PhaseKind.TREASURY, "2019-11-26", "2019-12-20", 25, "002:L421"),
    ("DZ-2022", PhaseKind.PREPARATION, "2021-11-01", "2021-11-28", 28, "001:L169"),
    ("DZ-2022", PhaseKind.COLLECTION, "2021-11-29", "2021-12-20", 22, "001:L171"),
    ("YC-2023", PhaseKind.PREPARATION, "2022-10-01", "2022-10-20", 20, "004:L315"),
    ("YC-2023", PhaseKind.COLLECTION, "2022-10-21", "2022-12-20", 61, "004:L324"),
    ("YC-2023", PhaseKind.NOTICE, "2022-12-21", "2023-01-20", 31, "004:L330"),
    ("SC-2025", PhaseKind.PREPARATION, "2024-09-01", "2024-10-10", 40, "003:L97"),
    ("SC-2025", PhaseKind.COLLECTION, "2024-10-11", "2024-12-31", 82, "003:L98"),
    ("SC-2025", PhaseKind.NOTICE, "2025-01-01", "2025-01-31", 31, "003:L99"),
]

LATE = [
    ("DZ-2018", "2018-01-01", LateAmount.FULL_COST, 30, 0, "000:L108-112"),
    ("ST-2020", "2019-12-21", LateAmount.FULL_COST, 30, 0, "002:L81-85"),
    ("DZ-2022", "2021-12-21", LateAmount.FULL_COST, 30, 0, "001:L60"),
    ("YC-2023", "2023-01-01", LateAmount.PERSONAL_PART, 0, 3, "004:L133-137"),
    ("SC-2025", "2025-01-01", LateAmount.PARAMETER, 0, 3, "003:L32 D-48"),
]

TARGETS = [
    ("DZ-2018", 100, 60, 16, 44, "000:L50-54"),
    ("ST-2020", None, None, 16, 44, "002:L36-38 D-05"),
    ("DZ-2022", 95, 60, 16, 44, "001:L32 D-05"),
    ("SC-2025", 95, 60, 16, 44, "003:L23 D-05"),
]

NOTICES = [
    ("DZ-2018", NoticeKind.ROSTER, None, "000:L149-151"),
    ("DZ-2018", NoticeKind.POST_TREASURY, 5, "000:L184-186"),
    ("ST-2020", NoticeKind.ROSTER, 3, "002:L143"),
    ("ST-2020", NoticeKind.PRE_DECLARATION, 3, "D-10"),
    ("ST-2020", NoticeKind.POST_TREASURY, 3, "002:L192"),
    ("ST-2020", NoticeKind.YEAR_END, None, "002:L188-192"),
    ("DZ-2022", NoticeKind.ROSTER, None, "D-37"),
    ("DZ-2022", NoticeKind.POST_TREASURY, None, "D-37"),
    ("DZ-2022", NoticeKind.YEAR_END, None, "D-37"),
    ("YC-2023", NoticeKind.ROSTER, 3, "004:L189"),
    ("YC-2023", NoticeKind.POST_TREASURY, None, "004:L209-213"),
    ("YC-2023", NoticeKind.YEAR_END, 31, "004:L330"),
    ("SC-2025", NoticeKind.ROSTER, None, "003:L46-47"),
    ("SC-2025", NoticeKind.YEAR_END, 31, "003:L99"),
]

DEADLINES = [
    ("DZ-2018", "SUBSIDY_LISTS", dt.date(2017, 11, 15), None, "", "000:L261-265"),
    ("DZ-2018", "VILLAGE_COLLECTION", dt.date(2017, 12, 10), None, "", "000:L119"),
    ("DZ-2018", "DEATHS", None, 5, "", "000:L227"),
    ("DZ-2018", "AGENT_REMITTANCE", None, None, "DAILY", "000:L151-155"),
    ("DZ-2018", "STATISTICS", None, None, "WEEKLY", "000:L274-278"),
    ("ST-2020", "SUBSIDY_FUNDS", dt.date(2019, 11, 26), None, "", "002:L412-416"),
    ("ST-2020", "AGENT_REMITTANCE", None, None, "DAILY", "002:L157-159"),
    ("DZ-2022", "DEATHS", None, 5, "", "001:L154"),
    ("YC-2023", "BIRTHDAY_HOLD", None, None, "BIRTHDAY", "004:L203-207"),
]

CHANNELS = {
    "DZ-2018": {"CASH_AGENT", "HR_WEBSITE", "SERVICE_COUNTER"},
    "ST-2020": {"CASH_AGENT", "ETAX", "WECHAT", "ALIPAY", "MOBILE_BANK", "SERVICE_COUNTER"},
    "DZ-2022": {
        "CASH_AGENT",
        "YUNONGTONG",
        "UNIONPAY_QR",
        "POS",
        "WECHAT",
        "WECHAT_MINI_PROGRAM",
        "ALIPAY",
        "ETAX",
        "MOBILE_BANK",
        "BANK_BRANCH",
        "SERVICE_COUNTER",
    },
    "YC-2023": {
        "CASH_AGENT",
        "POS",
        "UNIONPAY_QR",
        "WECHAT",
        "WECHAT_MINI_PROGRAM",
        "ALIPAY",
        "ETAX",
        "BANK_BRANCH",
        "SERVICE_COUNTER",
    },
    "SC-2025": {
        "YUNONGTONG",
        "POS",
        "WECHAT",
        "WECHAT_MINI_PROGRAM",
        "ALIPAY",
        "AISHANDONG",
        "ETAX",
        "BANK_BRANCH",
        "SERVICE_COUNTER",
    },
}

PROHIBITED = {
    "DZ-2018": set(),
    "ST-2020": set(),
    "DZ-2022": set(),
    "YC-2023": {"PERSONAL_ACCOUNT", "ADVANCE_FUNDING"},
    "SC-2025": set(),
}


@pytest.mark.parametrize(("pack_id", "doc_no", "issuer", "issued", "year", "division", "clause"), IDENTITY)
def test_each_pack_names_its_document(pack_id, doc_no, issuer, issued, year, division, clause):
    """Numbers and dates as printed; what ST-2020 does not print stays null (D-01)."""
    pack = load_pack(pack_id)
    source = pack.document.documents[0]
    assert (source.doc_no, source.issuer) == (doc_no, issuer), clause
    assert source.issued == (None if issued is None else dt.date.fromisoformat(issued))
    assert (pack.insured_year, pack.region.division) == (year, division)


def test_the_annex_of_2022_keeps_its_own_date():
    """D-02: notice 10-31, annex 10-30."""
    assert load_pack("DZ-2022").document.documents[0].annex_dated == dt.date(2021, 10, 30)


@pytest.mark.parametrize(("pack_id", "total", "personal", "fiscal", "clause"), STANDARDS)
def test_medical_standard(pack_id, total, personal, fiscal, clause):
    """Total, personal part and fiscal subsidy (I-01); what is not printed is unspecified (D-21)."""
    pack = load_pack(pack_id)
    medical = pack.document.medical
    assert pack.standard_fen == yuan(personal), clause
    assert (medical.total.value if medical.total else None) == total
    assert medical.fiscal.value == fiscal
    assert pack.fiscal_subsidy_fen == (None if fiscal is None else yuan(fiscal))
    assert medical.personal.clause.startswith(clause.split("-")[0])


@pytest.mark.parametrize(
    ("pack_id", "tier", "matching"), [(p, t, m) for p, tiers in TIERS.items() for t, m in tiers.items()]
)
def test_tier_and_matching_subsidy(pack_id, tier, matching):
    """000:L71-89, 002:L55-65, 001:L48-52, 004:L88-98, 003:L29: every tier and its 政府补贴."""
    assert load_pack(pack_id).matching_subsidy(tier) == yuan(matching)


@pytest.mark.parametrize(
    ("pack_id", "count"), [("DZ-2018", 12), ("ST-2020", 12), ("DZ-2022", 12), ("YC-2023", 12), ("SC-2025", 8)]
)
def test_tier_count(pack_id, count):
    """The plans print 12 and 8 tiers; the table above is complete."""
    pack = load_pack(pack_id)
    assert len(pack.tiers) == count
    assert set(pack.tiers) == set(TIERS[pack_id])


@pytest.mark.parametrize(("pack_id", "insurance", "start", "end", "days", "clause"), WINDOWS)
def test_window(pack_id, insurance, start, end, days, clause):
    """集中征缴期 as printed."""
    window = load_pack(pack_id).window(insurance)
    assert (window.start.isoformat(), window.end.isoformat(), window.days) == (start, end, days), clause


@pytest.mark.parametrize(("pack_id", "kind", "start", "end", "days", "clause"), PHASES)
def test_phase(pack_id, kind, start, end, days, clause):
    """阶段 as printed, found by date on its first and last day."""
    pack = load_pack(pack_id)
    for day in (start, end):
        phase = pack.phase_on(dt.date.fromisoformat(day))
        assert phase is not None, clause
        assert (phase.kind, phase.start.isoformat(), phase.end.isoformat(), phase.days) == (
            kind,
            start,
            end,
            days,
        )


def test_each_phase_is_tested():
    """The table above holds every phase of every pack."""
    assert len(PHASES) == sum(len(load_pack(p).document.phases) for p in PACKS)


@pytest.mark.parametrize(("pack_id", "late_from", "amount", "days", "months", "clause"), LATE)
def test_late_rule(pack_id, late_from, amount, days, months, clause):
    """逾期: first late day, kind of amount, waiting period."""
    pack = load_pack(pack_id)
    rule = pack.document.medical.late
    assert pack.parameter(rule.start).value == late_from, clause
    assert rule.amount is amount
    assert (pack.parameter(rule.wait_days).value if rule.wait_days else 0) == days
    assert (pack.parameter(rule.wait_months).value if rule.wait_months else 0) == months


@pytest.mark.parametrize(("pack_id", "older", "younger", "from_age", "to_age", "clause"), TARGETS)
def test_pension_targets(pack_id, older, younger, from_age, to_age, clause):
    """45–59 and the younger band; age 45 counts in the older one (D-05)."""
    by_measure = {
        t.measure: t for t in load_pack(pack_id).document.targets if t.insurance is Insurance.PENSION
    }
    first, second = by_measure["PAID_OVER_ELIGIBLE"], by_measure["PAID_OVER_ENROLLED"]
    assert (first.percent, first.age_from, first.age_to) == (older, 45, 59), clause
    assert (second.percent, second.age_from, second.age_to) == (younger, from_age, to_age)


def test_targets_without_a_percentage():
    """应保尽保 everywhere; YC-2023 compares with last year (004:L62-64, D-53)."""
    for pack_id in PACKS:
        medical = [t for t in load_pack(pack_id).document.targets if t.insurance is Insurance.MEDICAL]
        assert [t.percent for t in medical] == [None]
    assert {t.measure for t in load_pack("YC-2023").document.targets} == {"RATE_NOT_BELOW_LAST_YEAR"}


@pytest.mark.parametrize(("pack_id", "kind", "days", "clause"), NOTICES)
def test_notice_days(pack_id, kind, days, clause):
    """公示 days (I-09); None where the plan has no such notice."""
    assert load_pack(pack_id).notice_days(kind) == days, clause


def test_year_end_notices_have_dates():
    """004:L330 and 003:L99."""
    found = {p: load_pack(p).notice(NoticeKind.YEAR_END) for p in ("YC-2023", "SC-2025")}
    assert (found["YC-2023"].start, found["YC-2023"].end) == (dt.date(2022, 12, 21), dt.date(2023, 1, 20))
    assert (found["SC-2025"].start, found["SC-2025"].end) == (dt.date(2025, 1, 1), dt.date(2025, 1, 31))


@pytest.mark.parametrize(("pack_id", "code", "date", "monthly_day", "every", "clause"), DEADLINES)
def test_deadline(pack_id, code, date, monthly_day, every, clause):
    """Hard deadlines of the plans."""
    found = next(d for d in load_pack(pack_id).document.deadlines if d.code == code)
    assert (found.date, found.monthly_day, found.every) == (date, monthly_day, every)
    assert found.clause == clause


@pytest.mark.parametrize("pack_id", PACKS)
def test_channels_named(pack_id):
    """Channels as each plan names them; SC-2025 has no cash (D-40)."""
    assert {c.code for c in load_pack(pack_id).document.channels} == CHANNELS[pack_id]


@pytest.mark.parametrize("pack_id", PACKS)
def test_prohibitions_are_the_union(pack_id):
    """Nine kinds of conduct in every pack; 搭车收费 is printed in ST-2020 only (002:L384, D-33)."""
    found = {p.code: p.reading.value for p in load_pack(pack_id).document.prohibitions}
    assert len(found) == 9
    inferred = PROHIBITED[pack_id] | (set() if pack_id == "ST-2020" else {"BUNDLED_CHARGE"})
    assert {code for code, reading in found.items() if reading == "inferred"} == inferred


@pytest.mark.parametrize(
    ("pack_id", "body"),
    [
        ("DZ-2018", "纪委、审计部门"),
        ("ST-2020", "区审计局"),
        ("DZ-2022", "镇纪委、审计部门"),
        ("YC-2023", "区审计局"),
        ("SC-2025", "审计所"),
    ],
)
def test_audit_body(pack_id, body):
    """000:L243, 002:L380, 001:L163, 004:L303, 003:L94."""
    assert load_pack(pack_id).document.audit_body.value == body


@pytest.mark.parametrize(
    ("pack_id", "birth", "personal", "clause"),
    [
        ("DZ-2018", "1955-06-01", 90, "000:L102-104"),
        ("DZ-2018", "1940-06-01", 20, "000:L98-102"),
        ("DZ-2018", "1930-06-01", 0, "000:L97-98"),
        ("DZ-2022", "1955-06-01", 160, "001:L56"),
        ("DZ-2022", "1945-06-01", 0, "001:L56"),
        ("YC-2023", "1955-06-01", 175, "004:L121-123"),
        ("YC-2023", "1945-06-01", 0, "004:L119-121"),
        ("SC-2025", "1960-06-01", 200, "003:L30"),
        ("SC-2025", "1950-06-01", 0, "003:L30"),
    ],
)
def test_net_amount_of_the_elderly(pack_id, birth, personal, clause):
    """I-12: 90, 160, 175, 200 for 60–69; 20 and 0 above."""
    pack = load_pack(pack_id)
    answer = assess(
        pack,
        AssessmentRequest(
            insurance=Insurance.MEDICAL,
            birth=dt.date.fromisoformat(birth),
            paid_at=pack.collection.start,
        ),
    )
    assert answer.personal_fen == yuan(personal), clause
    assert answer.standard_fen == pack.standard_fen
    government = [leg for leg in answer.legs if leg.payer is not Payer.PERSON]
    assert sum(leg.fen for leg in government) == pack.standard_fen - yuan(personal)


@pytest.mark.parametrize(
    ("pack_id", "household", "basis", "collector"),
    [
        ("DZ-2018", "NONE", "NONE", "HUMAN_RESOURCES"),
        ("ST-2020", "FULL", "REGISTRATION", "TAX"),
        ("DZ-2022", "FALLBACK", "TAX_HISTORY", "TAX"),
        ("YC-2023", "UNSPECIFIED", "REGISTRATION", "TAX"),
        ("SC-2025", "UNSPECIFIED", "TAX_HISTORY", "TAX"),
    ],
)
def test_flow_variant(pack_id, household, basis, collector):
    """虚拟户 mode (I-07, D-42), roster basis (D-12) and who collects."""
    pack = load_pack(pack_id)
    assert pack.virtual_household_mode == household
    assert pack.document.roster_basis.value == basis
    assert pack.document.collector.value == collector


@pytest.mark.parametrize(
    ("pack_id", "readings"),
    [
        ("DZ-2018", {"printed"}),
        ("ST-2020", {"printed"}),
        ("DZ-2022", {"printed", "carried_over"}),
        ("YC-2023", {"printed", "inferred"}),
        ("SC-2025", {"printed", "carried_over"}),
    ],
)
def test_flow_steps_say_how_they_are_read(pack_id, readings):
    """D-40: remittance, declaration, treasury carried over in DZ-2022 and SC-2025, inferred in YC-2023."""
    steps = {step.step: step for step in load_pack(pack_id).flow if step.step != "ASSESS"}
    assert {step.reading.value for step in steps.values()} == readings
    if pack_id in ("DZ-2022", "YC-2023", "SC-2025"):
        for name in ("DAILY_REMITTANCE", "DECLARE", "TREASURY"):
            assert steps[name].discrepancy == "D-40"
            assert steps[name].reading.value != "printed"


def test_the_reference_flow_has_seven_steps():
    """002:L102-200: stages 1 to 7, in order."""
    stages = [step.stage for step in load_pack("ST-2020").flow]
    assert stages == sorted(stages)
    assert set(stages) == set(range(1, 8))


def test_the_flow_of_2018_has_no_tax_bureau():
    """000:L133-186: no declaration, no virtual household, the fund accounts instead of the treasury."""
    steps = {step.step for step in load_pack("DZ-2018").flow}
    assert not steps & {"DECLARE", "TREASURY", "VIRTUAL_HOUSEHOLD", "RETURN"}
    assert steps >= {"FUND_ACCOUNT_DEPOSIT", "OFFICE_RECONCILIATION", "ENTER", "FISCAL_ACCOUNT", "CONFIRM"}


def test_the_flow_says_where_money_ends_and_whether_a_roster_binds():
    """ADR 0016: read from the pack, never from its id; only DZ-2018 has no treasury and no roster."""
    packs = load_packs().values()
    assert [pack.id for pack in packs if pack.pays_into_fund_accounts] == ["DZ-2018"]
    assert [pack.id for pack in packs if not pack.has_roster] == ["DZ-2018"]
