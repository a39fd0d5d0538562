"""The driver: steps done once, decisions kept, rest as four services tell it; the report's files."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from deploy.rehearsal import driver as driving
from deploy.rehearsal.campaign import EmptyCampaign
from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.demo import DemoOptions, NotRehearsedError, plan_of, run_demo
from deploy.rehearsal.driver import Act, Driver, Outside
from deploy.rehearsal.files import Files
from deploy.rehearsal.journal import Journal, OtherRunError
from deploy.rehearsal.plan import draw_plan
from shared.policy import load_pack


class Quiet:
    def day(self, day: dt.date, number: int, of: int) -> None:
        """Not shown."""

    def step(self, name: str) -> None:
        """Not shown."""

    def progress(self, done: int, of: int) -> None:
        """Not shown."""

    def payments(self, done: int) -> None:
        """Not shown."""


def driver_with(journal: Journal, drain: Callable[[], Awaitable[None]]) -> Driver:
    plan = draw_plan(load_pack("ST-2020"), "店子镇", 1, 0.03)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    services = Services({name: f"http://{name}" for name in SERVICES}, {}, http)
    return Driver(plan, services, Outside("http://world", http), journal, Files(services), drain, Quiet())


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
    assert await driver_with(first, drain).step("2019-10-01/a", act, rest=True) == {"lines": 3}
    first.close()
    second = Journal(tmp_path / "demo.sqlite")
    assert await driver_with(second, drain).step("2019-10-01/a", act, rest=True) == {"lines": 3}
    assert (act.calls, drain.calls) == (1, 1)


async def test_a_step_that_failed_is_done_again() -> None:
    journal = Journal(None)

    async def restless() -> None:
        raise RuntimeError("killed before rest")

    act = Counted({})
    with pytest.raises(RuntimeError):
        await driver_with(journal, restless).step("s", act, rest=True)
    await driver_with(journal, Counted()).step("s", act, rest=True)
    assert act.calls == 2


async def test_a_day_rests_once_and_only_when_something_was_told() -> None:
    """Steps of a day follow one another; its end waits for all of them."""
    drain = Counted()
    driver = driver_with(Journal(None), drain)
    await driver.step("quiet", Counted({"moved": 0}))
    await driver.end_day(dt.date(2019, 10, 1))
    assert drain.calls == 1  # the end of a day is a step like any other
    await driver.step("one", Counted({"moved": 1}))
    await driver.step("two", Counted({"moved": 1}))
    assert drain.calls == 1
    await driver.end_day(dt.date(2019, 10, 2))
    assert drain.calls == 2


async def test_time_that_two_steps_share_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """``seconds.run`` is the time a run took, not what its steps took one by one."""
    moments = iter([10.0, 15.0, 18.0, 20.0, 21.0])
    monkeypatch.setattr(driving, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    driver, ended = driver_with(Journal(None), Counted()), asyncio.Event()

    async def first() -> None:
        ended.set()

    await driver.together([partial(driver.step, "long", ended.wait), partial(driver.step, "short", first)])
    assert driver.journal.seconds() == 8.0
    await driver.step("later", Counted())
    assert driver.journal.seconds() == 9.0


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_yesterdays_files_go_beside_todays_payers(concurrency: int) -> None:
    """A day's steps keep their order but for pairs that do not see one another; one by one where a run is a
    single history."""
    log: list[str] = []
    driver = driver_with(Journal(None), Counted())
    driver.concurrency = concurrency

    class Day(EmptyCampaign):
        def _daily(self, day: dt.date) -> Iterator[tuple[str, Act]]:
            for name in ("treasury-entries", "debit-vouchers", "channel-files", "payments", "close-day"):
                yield name, partial(work, name)

    async def work(name: str) -> None:
        log.append(name)
        await asyncio.sleep(0)
        log.append(f"{name}.")

    begun = httpx.MockTransport(lambda _: httpx.Response(200, json={"access_token": "t"}))
    driver.services = Services(
        {name: f"http://{name}" for name in SERVICES}, {"ops": "s"}, httpx.AsyncClient(transport=begun)
    )
    campaign = Day(driver)
    await campaign._run_day(campaign.first + 3 * dt.timedelta(days=1))
    assert log.index("debit-vouchers.") < log.index("channel-files")
    assert log.index("payments.") < log.index("close-day")
    beside = log.index("payments") < log.index("channel-files.")
    assert beside == (log.index("debit-vouchers") < log.index("treasury-entries.")) == (concurrency > 1)


async def test_villages_declare_while_what_the_treasury_entered_is_booked() -> None:
    """Both come to rest before the bank debits what was declared; nothing is done twice."""
    log: list[str] = []

    async def work(name: str) -> None:
        log.append(name)
        await asyncio.sleep(0)
        log.append(f"{name}.")

    async def drain() -> None:
        log.append("rest")

    driver = driver_with(Journal(None), drain)

    class Day(EmptyCampaign):
        def _daily(self, day: dt.date) -> Iterator[tuple[str, Act]]:
            for name in ("treasury-entries", "debit-vouchers"):
                yield name, partial(work, name)

    begun = httpx.MockTransport(lambda _: httpx.Response(200, json={"access_token": "t"}))
    driver.services = Services(
        {name: f"http://{name}" for name in SERVICES}, {"ops": "s"}, httpx.AsyncClient(transport=begun)
    )
    campaign = Day(driver)
    campaign._tasks[campaign.first] = [("declare", partial(work, "declare"))]
    await campaign._run_day(campaign.first)
    assert log.index("declare") < log.index("treasury-entries.")
    assert log.count("treasury-entries") == 1
    between = log[log.index("treasury-entries.") + 1 : log.index("debit-vouchers")]
    assert "declare." in log[: log.index("debit-vouchers")]
    assert "rest" in between


async def test_what_is_done_beside_a_rest_is_waited_for_by_the_next() -> None:
    """A rest that began before must not hide what came during it."""
    driver = driver_with(Journal(None), Counted())

    async def drain() -> None:
        if not driver.journal.done("beside"):
            await driver.step("beside", Counted())

    driver.drain = drain
    await driver.step("first", Counted(), rest=True)
    assert driver.restless
    await driver.rest()
    assert not driver.restless


async def test_a_begun_day_comes_to_rest_before_its_first_step() -> None:
    """Reconciliation at the day's start must not race with what the day brings (issue 4: the same report)."""
    drain = Counted()
    driver = driver_with(Journal(None), drain)
    begun = httpx.MockTransport(lambda _: httpx.Response(200, json={"access_token": "t"}))
    driver.services = Services(
        {name: f"http://{name}" for name in SERVICES}, {"ops": "s"}, httpx.AsyncClient(transport=begun)
    )
    await driver.begin_day(dt.date(2019, 10, 1))
    assert (drain.calls, driver.restless) == (1, False)


async def test_who_goes_on_after_a_kill_waits_for_what_the_dead_one_told(tmp_path: Path) -> None:
    """A step may be behind us though nobody waited for its effects."""
    first = Journal(tmp_path / "demo.sqlite")
    await driver_with(first, Counted()).step("told", Counted({"moved": 1}))
    first.close()
    drain = Counted()
    driver = driver_with(Journal(tmp_path / "demo.sqlite"), drain)
    await driver.step("told", Counted({"moved": 1}))
    await driver.rest()
    assert drain.calls == 1


async def test_an_answer_after_a_lost_one_is_waited_for_all_the_same() -> None:
    """Killed after it told the services, the world says it moved nothing: rest is awaited (issue 3 §4)."""
    drain, answers = Counted(), [httpx.Response(503), httpx.Response(200, json={"moved": 0})]
    driver = driver_with(Journal(None), drain)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers.pop(0)))
    driver.outside = Outside("http://world", http)
    await driver.step("entries", lambda: driver.outside.post("/days/2019-12-31/enter", {}), rest=True)
    assert drain.calls == 1


async def test_a_file_answers_row_by_row_over_its_pages() -> None:
    """Who is who comes back with the file's outcomes; refused rows with their code."""
    pages = {
        0: ([{"row": 1, "outcome": "accepted", "id": "a"}], 1),
        1: ([{"row": 2, "outcome": "refused"}], None),
    }

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t"})
        if path.endswith("/outcomes"):
            items, following = pages[int(request.url.params["after"])]
            return httpx.Response(200, json={"items": items, "next": following})
        if path.endswith("/failures.csv"):
            return httpx.Response(200, text="row_number,code,rule,field\r\n2,ID_TAKEN,I-03,number\r\n")
        if request.method == "POST":
            return httpx.Response(202, json={"import_id": "i"})
        return httpx.Response(200, json={"state": "DONE", "rows": 2, "accepted": 1, "refused": 1})

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    files = Files(Services({name: f"http://{name}" for name in SERVICES}, {"hr": "s"}, http))
    done = await files.hand_in("hr", "registration", "/people:import", [{"name": "a"}, {"name": "b"}], "k")
    assert done.counts == {"rows": 2, "accepted": 1, "refused": 1}
    assert [row["row"] async for row in files.outcomes(done)] == [1, 2]
    assert [(row.row, row.code) for row in await files.refused(done)] == [(2, "ID_TAKEN")]


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


@pytest.mark.parametrize(
    ("pack", "place", "scale"),
    [("XX", "店子镇", 1.0), ("ST-2020", "无此镇", 1.0), ("ST-2020", "店子镇", 0.0)],
)
def test_what_cannot_be_rehearsed_is_said(pack: str, place: str, scale: float, tmp_path: Path) -> None:
    with pytest.raises(NotRehearsedError):
        plan_of(DemoOptions(tmp_path, tmp_path, pack, place, scale))


async def test_a_folder_with_another_run_is_not_touched(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "demo.sqlite")
    journal.open_run({"pack": "ST-2020", "place": "店子镇", "scale": 1.0, "seed": 9, "villages": 0})
    journal.close()
    organisations = tmp_path / "organisations.yaml"
    organisations.write_text("clients: []", encoding="utf-8")
    with pytest.raises(NotRehearsedError, match="seed"):
        await run_demo(DemoOptions(tmp_path, organisations), Quiet())
