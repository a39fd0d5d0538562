"""The report: villages, 管区, totals, days, channels, open matters, costs; the page a town officer prints."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from deploy.rehearsal import charts, figures
from deploy.rehearsal.plan import Plan, draw_plan
from deploy.rehearsal.rendering import CSV_COLUMNS, csv_of, html_of, write_files, yuan
from deploy.rehearsal.report import TOTALS, Report, event_name, report_of, step_rows
from deploy.rehearsal.summaries import Summaries
from shared.policy import load_pack

MONEY = {
    "due_fen": 80_000, "paid_fen": 36_000, "subsidised_fen": 40_000, "deposited_fen": 36_000, "declared_fen": 0,
    "in_treasury_fen": 76_000, "returned_fen": 76_000, "booked_fen": 76_000, "refunded_fen": 0,
    "refund_due_fen": 0, "unidentified_fen": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> Plan:
    """SC-2025 in full: 46 villages in their 管区."""
    return draw_plan(load_pack("SC-2025"), "山城街道", seed=1, scale=1.0)


def answer(village: str, insurance: str, **changes: int) -> dict[str, Any]:
    counts = {"persons": 10, "paid_persons": 6, "exempt_persons": 2}
    return {"village": village, "insurance": insurance, **counts, **MONEY, **changes}


def summaries(plan: Plan, **changes: Any) -> Summaries:
    """Every village: ten people in medical, four of them in the pension too."""
    divisions = [village.division for village in plan.population.villages]
    found: dict[str, Any] = {
        "villages": [
            row
            for division in divisions
            for row in (
                answer(division, "medical"),
                answer(division, "pension", persons=4, paid_persons=1, exempt_persons=1, booked_fen=5),
            )
        ],
        "days": [
            {"date": "2024-10-03", "channel": "WECHAT", "insurance": "medical", "count": 2, "fen": 800_00},
            {
                "date": "2024-10-03",
                "channel": "YUNONGTONG",
                "insurance": "pension",
                "count": 1,
                "fen": 300_00,
            },
            {"date": "2024-10-05", "channel": "WECHAT", "insurance": "medical", "count": 1, "fen": 400_00},
        ],
        "targets": [
            {
                "division": divisions[0],
                "insurance": "medical",
                "persons": 8,
                "statistical_scope": "EXCL_EXEMPT",
            }
        ],
        "coverage": [
            {
                "village": "",
                "insurance": "pension",
                "band": "16-44",
                "eligible": 8,
                "enrolled": 4,
                "paid": 1,
                "paid_over_eligible": 0.125,
                "paid_over_enrolled": 0.25,
                "measure": "PAID_OVER_ENROLLED",
                "rate": 0.25,
                "target_percent": 90,
                "last_year_rate": None,
            }
        ],
        "cases": [],
        "settlements": [],
        "refunds": [],
        "money": {"unaccounted_fen": 0, "difference_fen": 0, "checked": 7, "rows": []},
        "differences": [],
        "types": {"PaymentReceived": 5, "TaxVoucherIssued": 2},
        "events": 99,
        "messages": 44,
        "told": {},
    }
    return Summaries(**(found | changes))


@pytest.fixture
def report(plan: Plan) -> Report:
    return report_of(plan, summaries(plan))


# -- figures --------------------------------------------------------------------------------------------------


def test_totals_are_the_sums_of_the_villages(report: Report) -> None:
    """Many villages; totals and 管区 are their sums, insurance by insurance too."""
    assert len(report.villages) == 46
    for name in TOTALS:
        assert report.totals[name] == sum(village[name] for village in report.villages)
        assert report.totals[name] == sum(area[name] for area in report.areas)
        assert report.totals[name] == sum(one[name] for one in report.insurances.values())
    assert report.totals["booked_fen"] == 46 * (76_000 + 5)
    assert sum(area["villages"] for area in report.areas) == 46
    assert len(report.areas) > 5


def test_people_of_a_village_count_once(plan: Plan, report: Report) -> None:
    """Somebody in both insurances is one person: the medical row's, or the row that counts people."""
    assert (report.persons, report.obligations) == (460, 46 * 14)
    rows = [answer(each.division, "ALL", persons=11, paid_persons=5, **dict.fromkeys(MONEY, 0))
            for each in plan.population.villages]  # fmt: skip
    counted = report_of(plan, summaries(plan, villages=[*summaries(plan).villages, *rows]))
    assert (counted.persons, counted.obligations) == (46 * 11, 46 * 14)
    assert counted.totals == report.totals


def test_the_rate_leaves_out_the_exempt_where_the_task_table_does(report: Report) -> None:
    """SC-2025 counts without the exempt (D-20): paid ÷ (persons − exempt); against the target: paid ÷ target."""
    first = report.villages[0]
    assert (first["rate"], first["target_persons"], first["target_rate"]) == (0.75, 8, 0.75)
    assert report.villages[1]["target_rate"] == 0.0
    everybody = figures.rates(
        {"persons": 10, "paid_persons": 6, "exempt_persons": 2, "target_persons": 0}, "ALL"
    )
    assert everybody == {"rate": 0.8, "target_rate": 0.0}
    assert figures.rates(dict.fromkeys(("persons", "paid_persons", "exempt_persons", "target_persons"), 0), "ALL") == {
        "rate": 0.0, "target_rate": 0.0,
    }  # fmt: skip


def test_a_town_has_its_target_where_villages_have_none() -> None:
    """ST-2020's task table sets one per town; 管区 of a town that has several share none of it."""
    plan = draw_plan(load_pack("ST-2020"), "店子镇", seed=1, scale=1.0)
    town = plan.population.towns[0].division
    target = {"division": town, "insurance": "medical", "persons": 30_000, "statistical_scope": "ALL"}
    made = report_of(plan, summaries(plan, targets=[target]))
    assert [row["target_persons"] for row in made.areas] == [30_000]
    assert made.areas[0]["target_rate"] == round(len(made.villages) * 8 / 30_000, 6)
    assert "30000" in html_of(made)


def test_money_of_no_village_is_shown_and_summed(plan: Plan) -> None:
    """Unidentified money has no village: it stands in a row of its own, never left out."""
    lost = {"village": "", "insurance": "medical", "persons": 0, "unidentified_fen": 700}
    made = report_of(plan, summaries(plan, villages=[*summaries(plan).villages, lost]))
    assert made.totals["unidentified_fen"] == 700
    assert "未分村" in made.villages[-1]["name"]


def test_a_village_without_an_answer_is_shown_with_nothing(plan: Plan) -> None:
    made = report_of(plan, summaries(plan, villages=[]))
    assert len(made.villages) == 46
    assert made.persons == sum(made.totals.values()) == 0


def test_days_and_channels_are_added_up(report: Report) -> None:
    assert report.daily == [
        {"date": "2024-10-03", "count": 3, "fen": 110_000},
        {"date": "2024-10-05", "count": 1, "fen": 40_000},
    ]
    assert [(row["channel"], row["fen"], row["share"]) for row in report.channels] == [
        ("WECHAT", 120_000, 0.8),
        ("YUNONGTONG", 30_000, 0.2),
    ]
    assert report.channels[1]["term"] == "裕农通"


@pytest.mark.parametrize(
    ("pack", "steps"), [("SC-2025", ["DECLARE"]), ("YC-2023", ["DECLARE"]), ("ST-2020", [])]
)
def test_a_step_without_cash_to_declare_says_why(pack: str, steps: list[str]) -> None:
    """D-40: where no agent holds cash the channel's settlement is the deposit, and nothing is declared."""
    rows = step_rows(draw_plan(load_pack(pack), "", seed=1, scale=0.02, villages=1))
    assert [row["step"] for row in rows if row["not_taken"]] == steps
    assert all("D-40" in row["not_taken"] for row in rows if row["not_taken"])


def test_steps_tell_their_reading_and_clause(plan: Plan, report: Report) -> None:
    """Steps the plan prints, and those carried over from another (D-40), with what happened of each."""
    assert [step["step"] for step in report.steps] == [step.step for step in plan.pack.document.flow]
    assert {step["reading"] for step in report.steps} <= {"printed", "carried_over", "inferred", "external"}
    assert all(step["clause"] for step in report.steps)
    report.count_steps({"PaymentReceived": 5, "Other": 9})
    assert any(step["events"] == 5 for step in report.steps)


def test_open_matters_name_who_has_to_act(plan: Plan) -> None:
    """A difference, an open day, an unpaid refund and an open case: each with its owner."""
    made = report_of(
        plan,
        summaries(
            plan,
            money={
                "unaccounted_fen": 5, "difference_fen": 3, "checked": 1,
                "rows": [
                    {"book": "WECHAT", "channel": "WECHAT", "insurance": "medical", "date": "2024-10-03",
                     "difference_fen": 3, "unaccounted_fen": 0},
                    {"book": "A-1", "channel": "CASH_AGENT", "insurance": "medical", "date": "2024-10-04",
                     "difference_fen": 0, "unaccounted_fen": 5},
                ],
            },
            differences=[{"date": "2024-10-05", "difference_id": "x", "kind": "MISSING_RETURN",
                          "insurance": "medical", "fen": 7, "owner": "registration"}],
            settlements=[{"source": "A-1", "village": "370406001201", "insurance": "medical",
                          "date": "2024-10-04", "open_diff_fen": -300}],
            refunds=[{"refund_no": "F-1", "fen": 40_000, "state": "APPROVED"},
                     {"refund_no": "F-2", "fen": 1, "state": "SETTLED"}],
            cases=[{"case_id": "C-1", "rule": "SHORTFALL", "state": "OPEN", "fen": 300, "subject": "WECHAT"},
                   {"case_id": "C-2", "rule": "SHORTFALL", "state": "CLOSED", "fen": 1, "subject": "A-1"}],
        ),
    )  # fmt: skip
    assert [(row["fen"], row["owner"].split(" ")[0]) for row in made.open_matters] == [
        (3, "缴费渠道"), (5, "代办员所在村居、税务分局"), (7, "人社、医保"),
        (-300, "代办员所在村居、税务分局"), (40_000, "税务、国库"), (300, "缴费渠道"),
    ]  # fmt: skip
    assert [(row["rule"], row["opened"], row["closed"]) for row in made.cases] == [
        ("SHORTFALL", 1, 1),
        ("SHORTFALL", 1, 0),
    ]
    assert not made.clean


def test_costs_are_per_person_without_an_empty_campaign(report: Report) -> None:
    """The cost of a campaign without people is the system's, not the people's; nor is the write-ahead log."""
    report.cpu_seconds, report.disk_mib = {"collection": 3.0, "postgres": 2.0}, 612.0
    report.disk_mib_parts = {"collection": 100.0, "wal": 512.0}
    report.add_costs()
    assert report.costs == {"cpu_ms_per_person": 10.87, "disk_kib_per_person": 222.609}
    report.add_costs({"cpu_seconds": {"postgres": 0.4}, "disk_mib": 8, "persons": 0})
    assert report.costs == {"cpu_ms_per_person": 10.0, "disk_kib_per_person": 204.8}
    report.persons = 0
    report.add_costs()
    assert report.costs == {}


def test_a_report_is_clean_when_nothing_is_lost_and_everything_went_as_it_must(report: Report) -> None:
    assert report.clean
    report.injected = [{"kind": "LOST_ANSWER", "term": "", "expected": "A", "outcome": "B", "event_ids": []}]
    assert not report.clean


def test_the_audit_is_added_to_the_report(report: Report) -> None:
    audit = {
        "invariants": [{"id": "I-17", "checked": 3, "violations": 0}],
        "difference_fen": 1,
        "unaccounted_fen": 2,
        "records_compared": 4,
    }
    report.add_audit(audit, {"PaymentReceived": 2})
    assert (report.unaccounted_fen, report.difference_fen, report.records_compared) == (2, 1, 4)
    assert report.invariants[0]["id"] == "I-17"
    assert any(step["events"] == 2 for step in report.steps)


def test_types_of_messages_are_named_as_events() -> None:
    assert event_name("liangxian.collection.payment_received.v1") == "PaymentReceived"


# -- the page -------------------------------------------------------------------------------------------------


class Cells(HTMLParser):
    """Texts of a page's table cells; refuses unbalanced elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "rect", "line", "polyline"):
            self.open.append(tag)
        if tag == "td":
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "polyline"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.texts[-1] += data.strip()


def test_the_page_stands_alone_and_shows_every_village(report: Report) -> None:
    """Chinese first, A4, synthetic by its own words; nothing is loaded from elsewhere."""
    report.invariants = [{"id": "I-17", "checked": 3, "violations": 0},
                         {"id": "I-19", "checked": 0, "violations": 0, "not_applicable": "SC-2025 flow"}]  # fmt: skip
    report.injected = [
        {"kind": "LOST_ANSWER", "term": "重试", "expected": "A", "outcome": "A", "event_ids": []}
    ]
    report.cpu_seconds, report.peak_mib = {"driver": 1.5}, {"collection": 200.5}
    page = html_of(report)
    assert '<html lang="zh-CN">' in page
    for words in (
        "合成",
        "Synthetic",
        "size: A4",
        "各管区",
        "逐日缴费",
        "缴费渠道",
        "未了事项",
        "裕农通",
        "沿用",
        "2024-10-05",
    ):
        assert words in page, words
    for outside in ("http://", "https://", "<script", "<link", "@import", "src=", "url("):
        assert outside not in page
    cells = Cells()
    cells.feed(page)
    assert cells.open == []
    for village in report.villages:
        assert any(text.startswith(village["name"]) for text in cells.texts)
    assert yuan(report.totals["in_treasury_fen"]) in cells.texts
    assert {"75.00%", "12.50%", "25.00%", "90%"} <= set(cells.texts)


def test_names_in_the_page_are_text(report: Report) -> None:
    report.place = report.villages[0]["name"] = "<b>x</b>"
    report.channels[0]["term"] = "<i>y</i>"
    page = html_of(report)
    assert "<b>x</b>" not in page
    assert "<i>y</i>" not in page


def test_an_empty_report_is_a_page_too(plan: Plan) -> None:
    """A campaign without people: the baseline of what people cost."""
    made = report_of(plan, summaries(plan, villages=[], days=[], coverage=[]))
    assert "没有未了事项" in html_of(made)


def test_a_district_of_600_villages_is_written_in_a_second(plan: Plan, tmp_path: Path) -> None:
    """Building the report costs nothing that grows with the people (440,000 of them: 600 villages)."""
    rows = [
        answer(f"3704061{number:05d}", insurance)
        for number in range(600)
        for insurance in ("medical", "pension")
    ]
    days = [{"date": f"2024-1{day // 28}-{day % 28 + 1:02d}", "channel": f"C{channel}", "insurance": "medical",
             "count": 9, "fen": 999} for day in range(84) for channel in range(9)]  # fmt: skip
    began = time.process_time()
    write_files(report_of(plan, summaries(plan, villages=rows, days=days)), tmp_path)
    assert time.process_time() - began < 3


# -- charts ---------------------------------------------------------------------------------------------------


def numbers(svg: str, element: str, name: str) -> list[float]:
    return [float(found) for found in re.findall(rf'<{element} [^>]*\b{name}="(-?[\d.]+)"', svg)]


def test_bars_are_in_proportion_and_labelled() -> None:
    drawn = str(
        charts.bars([charts.Bar("甲<", 100, "一"), charts.Bar("乙", 25, "二"), charts.Bar("丙", -5, "")], "t")
    )
    widths = numbers(drawn, "rect", "width")
    assert widths[0] == pytest.approx(4 * widths[1], abs=0.2)
    assert widths[2] == 0
    assert "甲&lt;" in drawn


def test_days_without_money_have_their_place(report: Report) -> None:
    """The 4th lies between the 3rd and the 5th, without a column."""
    days = [(charts.dt.date(2024, 10, 3), 500), (charts.dt.date(2024, 10, 5), 1000)]
    drawn = str(charts.daily(days, "t"))
    heights, places = numbers(drawn, "rect", "height"), numbers(drawn, "rect", "x")
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.01)
    assert places[1] - places[0] == pytest.approx(2 * (charts.WIDTH - 68) / 3, rel=0.01)
    whole = str(charts.cumulative(days, 3000, "t"))
    ends = re.findall(r'points="([^"]+)"', whole)[0].split(" ")
    assert len(ends) == 3
    assert "stroke-dasharray" in whole


@pytest.mark.parametrize(
    "draw", [lambda: charts.bars([], ""), lambda: charts.daily([], ""), lambda: charts.cumulative([], 0, "")]
)
def test_nothing_is_drawn_of_nothing(draw: Callable[[], str]) -> None:
    assert draw() == ""


@pytest.mark.parametrize(
    ("fen", "shown"),
    [(0, "0.00"), (1_000_000, "1.00"), (1_234_567_890, "1,234.57"), (5_000, "0.01"), (-15_000, "-0.02")],
)
def test_labels_are_in_wan_yuan(fen: int, shown: str) -> None:
    """1 万元 is a million fen."""
    assert charts.wan_yuan(fen) == shown


@pytest.mark.parametrize(
    ("most", "scale"), [(1, 1), (7, 8), (12, 20), (99, 100), (100, 100), (41_000, 50_000)]
)
def test_axes_end_at_round_numbers(most: int, scale: int) -> None:
    assert charts._axis(most)[0] == scale


# -- files ----------------------------------------------------------------------------------------------------


def test_villages_open_in_a_spreadsheet(report: Report) -> None:
    """UTF-8 with its mark; fen, so that a spreadsheet's sum is exact."""
    text = csv_of(report)
    assert text.startswith("\ufeffdivision,name,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == 46
    assert tuple(rows[0]) == CSV_COLUMNS
    assert sum(int(row["due_fen"]) for row in rows) == report.totals["due_fen"]


def test_all_files_are_written(report: Report, tmp_path: Path) -> None:
    files = write_files(report, tmp_path / "out", {"clean": True})
    assert sorted(files) == ["audit.json", "environment.json", "report.html", "report.json", "villages.csv"]
    document: Mapping[str, Any] = json.loads(files["report.json"].read_text(encoding="utf-8"))
    assert document["campaign"] == "370406001-2025"
    for name in ("pack", "persons", "obligations", "seconds", "peak_mib", "cpu_seconds", "disk_mib", "totals",
                 "villages", "steps", "injected", "invariants", "difference_fen", "unaccounted_fen",
                 "records_compared", "endpoints"):  # fmt: skip
        assert name in document
    environment = json.loads(files["environment.json"].read_text(encoding="utf-8"))
    assert {"python", "cpus", "packages", "peak_mib", "cpu_seconds", "disk_mib_parts"} <= set(environment)


@pytest.mark.parametrize(
    ("fen", "shown"), [(0, "0.00"), (5, "0.05"), (123456789, "1,234,567.89"), (-5, "-0.05")]
)
def test_yuan_is_exact(fen: int, shown: str) -> None:
    assert yuan(fen) == shown
