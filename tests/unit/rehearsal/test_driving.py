"""The driver: steps done once, decisions kept, rest told by two quiet sweeps; the report's files."""

from __future__ import annotations

import datetime as dt
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
