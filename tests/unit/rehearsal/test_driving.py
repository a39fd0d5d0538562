"""The driver: steps done once, decisions kept, rest told by two quiet sweeps; the report's files."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.demo import DemoOptions, NotRehearsedError, plan_of, run_demo
from deploy.rehearsal.driver import Driver, Outside, drain_over_http
from deploy.rehearsal.journal import Journal, OtherRunError
from deploy.rehearsal.plan import draw_plan
from deploy.rehearsal.rendering import csv_of, html_of, write_files, yuan
from deploy.rehearsal.report import TOTALS, Report, event_name
from shared.policy import load_pack


class Quiet:
    def day(self, day: dt.date, number: int, of: int) -> None:
        """Not shown."""

    def step(self, name: str) -> None:
        """Not shown."""

    def payments(self, done: int) -> None:
        """Not shown."""


def driver_with(journal: Journal, drain: Callable[[], Awaitable[None]]) -> Driver:
    plan = draw_plan(load_pack("ST-2020"), "店子镇", 1, 0.03)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    services = Services({name: f"http://{name}" for name in SERVICES}, {}, http)
    return Driver(plan, services, Outside("http://world", http), journal, drain, Quiet())


class Counted:
    """An act or a drain that counts its calls."""

    def __init__(self, answer: Any = None) -> None:
        self.calls = 0
        self._answer = answer

    async def __call__(self) -> Any:
        self.calls += 1
        return self._answer


async def test_a_step_is_done_once_also_by_the_next_driver(tmp_path: Path) -> None:
    act, drain = Counted({"lines": 3}), Counted()
    first = Journal(tmp_path / "demo.sqlite")
    assert await driver_with(first, drain).step("2019-10-01/a", act) == {"lines": 3}
    first.close()
    second = Journal(tmp_path / "demo.sqlite")
    assert await driver_with(second, drain).step("2019-10-01/a", act) == {"lines": 3}
    assert (act.calls, drain.calls) == (1, 1)


async def test_a_step_that_failed_is_done_again() -> None:
    journal = Journal(None)

    async def restless() -> None:
        raise RuntimeError("killed before rest")

    act = Counted({})
    with pytest.raises(RuntimeError):
        await driver_with(journal, restless).step("s", act)
    await driver_with(journal, Counted()).step("s", act)
    assert act.calls == 2


async def test_a_step_that_told_nobody_waits_for_nobody() -> None:
    drain = Counted()
    driver = driver_with(Journal(None), drain)
    await driver.step("quiet", Counted({"moved": 0}))
    assert drain.calls == 0
    await driver.step("loud", Counted({"moved": 1}))
    assert drain.calls == 1


async def test_an_answer_after_a_lost_one_is_waited_for_all_the_same() -> None:
    """Killed after it told the services, the world says it moved nothing: rest is awaited (issue 3 §4)."""
    drain, answers = Counted(), [httpx.Response(503), httpx.Response(200, json={"moved": 0})]
    driver = driver_with(Journal(None), drain)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers.pop(0)))
    driver.outside = Outside("http://world", http)
    await driver.step("entries", lambda: driver.outside.post("/treasury/entries/2019-12-31", {}))
    assert drain.calls == 1


async def test_what_was_decided_stays_decided(tmp_path: Path) -> None:
    """A repeated day places the orders it decided on, not what it would decide now."""
    journal = Journal(tmp_path / "demo.sqlite")
    assert await journal.decided("orders", Counted([1])) == [1]
    journal.close()
    assert await Journal(tmp_path / "demo.sqlite").decided("orders", Counted([2])) == [1]


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "demo.sqlite")
    assert journal.open_run({"seed": 1}) is False
    assert journal.open_run({"seed": 1}) is True
    with pytest.raises(OtherRunError):
        journal.open_run({"seed": 2})


async def test_rest_is_two_sweeps_in_which_nothing_moved() -> None:
    """Between asking one service and the next, a message may still be on its way."""
    sweeps = (
        ((1, False), (1, True), (1, True), (1, True)),
        ((2, True), (1, True), (1, True), (1, True)),
        ((2, True), (3, True), (1, True), (1, True)),
        ((2, True), (3, True), (1, True), (1, True)),
    )
    reports = iter([report for sweep in sweeps for report in sweep])
    asked = 0

    def lag(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t"})
        asked += 1
        position, drained = next(reports)
        body = {"service": "x", "log_position": position, "drained": drained, "parked": 0}
        return httpx.Response(200, json=body)

    http = httpx.AsyncClient(transport=httpx.MockTransport(lag))
    services = Services({name: f"http://{name}" for name in SERVICES}, {"ops": "s"}, http)
    await drain_over_http(services)()
    assert asked == 16


@pytest.mark.parametrize(
    ("pack", "place", "scale"),
    [("YC-2023", "店子镇", 1.0), ("XX", "店子镇", 1.0), ("ST-2020", "无此镇", 1.0)],
)
def test_what_cannot_be_rehearsed_is_said(pack: str, place: str, scale: float, tmp_path: Path) -> None:
    with pytest.raises(NotRehearsedError):
        plan_of(DemoOptions(tmp_path, tmp_path, pack, place, scale))


async def test_a_folder_with_another_run_is_not_touched(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "demo.sqlite")
    journal.open_run({"pack": "ST-2020", "place": "店子镇", "scale": 1.0, "seed": 9})
    journal.close()
    organisations = tmp_path / "organisations.yaml"
    organisations.write_text("clients: []", encoding="utf-8")
    with pytest.raises(NotRehearsedError, match="seed"):
        await run_demo(DemoOptions(tmp_path, organisations), Quiet())


def report(**changes: Any) -> Report:
    made = Report({"id": "ST-2020", "version": 1, "digest": "d"}, "370406-2020", "店子镇", 1, 1.0)
    made.totals = dict.fromkeys(TOTALS, 123456)
    village = {"division": "370406101201", "name": "合成村", "persons": 3, "paid_persons": 2}
    made.villages = [{**village, "exempt_persons": 1, "rate": 1.0, **made.totals, "insurances": {}}]
    made.steps = [
        {"step": "COLLECT", "term": "代收费款", "stage": 4, "reading": "printed", "clause": "002:L151",
         "events": 0, "types": ["PaymentReceived", "ReceiptIssued"]}
    ]  # fmt: skip
    made.injected = [
        {"kind": "LOST_ANSWER", "term": "重试", "expected": "A", "outcome": "A", "event_ids": []}
    ]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_step_counts_the_events_of_its_types() -> None:
    made = report()
    made.count_steps({"PaymentReceived": 5, "ReceiptIssued": 2, "Other": 9})
    assert made.steps[0]["events"] == 7


def test_a_report_is_clean_when_nothing_is_lost_and_everything_went_as_it_must() -> None:
    assert report().clean
    assert not report(unaccounted_fen=1).clean
    other = {"kind": "LOST_ANSWER", "term": "", "expected": "A", "outcome": "B", "event_ids": []}
    assert not report(injected=[other]).clean


def test_the_audit_is_added_to_the_report() -> None:
    made = report()
    audit = {
        "invariants": [{"id": "I-17", "checked": 3, "violations": 0}],
        "difference_fen": 1,
        "unaccounted_fen": 2,
        "records_compared": 4,
    }
    made.add_audit(audit, {"ReceiptIssued": 2})
    assert (made.unaccounted_fen, made.difference_fen, made.records_compared) == (2, 1, 4)
    assert made.invariants[0]["id"] == "I-17"
    assert made.steps[0]["events"] == 2


def test_the_page_stands_alone_and_shows_what_matters() -> None:
    """Chinese first, printable, nothing loaded from elsewhere."""
    page = html_of(report(unaccounted_fen=5), None)
    assert '<html lang="zh-CN">' in page
    assert "未落实资金" in page
    assert "0.05" in page
    assert "1,234.56" in page
    for outside in ("http://", "https://", "<script", "<link", "@import", "src="):
        assert outside not in page


def test_names_in_the_page_are_text() -> None:
    page = html_of(report(place="<b>x</b>"), None)
    assert "<b>x</b>" not in page


def test_villages_open_in_a_spreadsheet() -> None:
    text = csv_of(report())
    assert text.startswith("\ufeffdivision,name,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert rows[0]["due_fen"] == "123456"


def test_all_files_are_written(tmp_path: Path) -> None:
    files = write_files(report(), tmp_path / "out", {"clean": True})
    assert sorted(files) == ["audit.json", "environment.json", "report.html", "report.json", "villages.csv"]
    assert json.loads(files["report.json"].read_text(encoding="utf-8"))["campaign"] == "370406-2020"


@pytest.mark.parametrize(
    ("fen", "shown"), [(0, "0.00"), (5, "0.05"), (123456789, "1,234,567.89"), (-5, "-0.05")]
)
def test_yuan_is_exact(fen: int, shown: str) -> None:
    assert yuan(fen) == shown


def test_types_of_messages_are_named_as_events() -> None:
    assert event_name("liangxian.collection.payment_received.v1") == "PaymentReceived"
