"""An empty development system made ready for payers: the rehearsal's own preparation, and nothing paid.

Pack, targets, agents, people, enrolments, lists, tiers and rosters by the steps ``liangxian demo`` takes; then the
business day is the first of the collecting phase. Only where the clock is simulated.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.rehearsal import preparation
from deploy.rehearsal.clients import SERVICES, Services
from deploy.rehearsal.driver import Driver, Outside, Watcher, drain_over_http
from deploy.rehearsal.files import Files
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import draw_plan
from deploy.rehearsal.watching import watcher_for
from shared.policy import Pack

NOT_NEEDED = frozenset({"learn-bills"})
"""The rehearsal's outside world is not going to pay."""


@dataclass(frozen=True, slots=True)
class Population:
    """How many people: the share of a place's, and so many villages of each town (0: all)."""

    place: str = ""
    scale: float = 1.0
    villages: int = 0
    seed: int = 1


async def prepare(
    services: Services,
    world: str,
    http: httpx.AsyncClient,
    pack: Pack,
    wanted: Population,
    watcher: Watcher | None = None,
) -> dt.date:
    """From an empty system to the first collecting day; answers that day.

    Raises ValueError for a pack or place that is not rehearsed or takes no money by orders; RestlessError and
    UnexpectedAnswerError when a service does not do what it must.
    """
    if pack.pays_into_fund_accounts:
        raise ValueError(f"{pack.id}: 村居代收、无在线订单 / money is taken in villages, not by orders")
    plan = draw_plan(pack, wanted.place, wanted.seed, wanted.scale, wanted.villages)
    with tempfile.TemporaryDirectory() as folder, watcher_for(watcher) as shown:
        journal = Journal(Path(folder) / "prepared.sqlite")
        try:
            driver = Driver(
                plan,
                services,
                Outside(world, http),
                journal,
                Files(services),
                drain_over_http(services),
                shown,
            )
            await _run(driver)
        finally:
            journal.close()
    return plan.pack.collection.start


async def _run(driver: Driver) -> None:
    tasks = [task for task in preparation.tasks(driver) if task[1] not in NOT_NEEDED]
    days = sorted({task[0] for task in tasks} | {driver.plan.pack.collection.start})
    driver.restless = True
    await driver.rest()
    for number, day in enumerate(days, 1):
        driver.watcher.day(day, number, len(days))
        await driver.begin_day(day)
        for on, name, act in tasks:
            if on == day:
                await driver.step(f"{day}/{name}", act, rest=True)


async def business_day(services: Services) -> dt.date:
    """The day it is for collection."""
    ready = await services.get("ops", "collection", "/readyz")
    return dt.date.fromisoformat(ready["today"])


async def begin(services: Services, day: dt.date) -> None:
    """Begin a day in all four services."""
    for name in SERVICES:
        await services.post("ops", name, "/ops/begin-day", {"date": day.isoformat()})
