"""Whole campaigns of the other plans in one process, and a driver that is cut off again and again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import draw_plan
from deploy.rehearsal.report import collect_report
from shared.policy import load_pack
from tests.e2e.composition import Silent, composed

SCALE = 0.02
ANSWERED, BEGUN = 29, 37
"""Every so many steps the driver dies: after the answer, before it is written down; or as a step begins."""


class CutOffError(Exception):
    """The driver died."""


class Mortal(Silent):
    """Dies as every so-manieth step begins."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._steps = 0

    def step(self, name: str) -> None:
        """A step began."""
        self._steps += 1
        if self._every and self._steps % self._every == 0:
            raise CutOffError(name)


class Forgetful(Journal):
    """Loses every so-manieth answer: what it told was told, and is not written down."""

    def __init__(self, every: int) -> None:
        super().__init__(None)
        self._every = every
        self._answers = 0

    def finish(self, name: str, answer: Any, seconds: float = 0.0) -> None:
        """The step is done."""
        self._answers += 1
        if self._every and self._answers % self._every == 0:
            raise CutOffError(name)
        super().finish(name, answer, seconds)


async def report_of(pack: str, *, mortal: bool = False) -> tuple[dict[str, Any], int]:
    """The report of one small village's campaign, and how often its driver died."""
    plan = draw_plan(load_pack(pack), "", seed=1, scale=SCALE, villages=1)
    journal, cuts = Forgetful(ANSWERED if mortal else 0), 0
    async with composed(1, plan.script.days.open - dt.timedelta(days=1)) as system:
        while True:
            driver = system.driver(plan, journal)
            driver.watcher = Mortal(BEGUN if mortal else 0)
            try:
                await Campaign(driver).run()
            except CutOffError:
                cuts += 1
            else:
                break
        document = (await collect_report(driver)).document()
    for each in document["injected"]:
        del each["event_ids"]
    return document, cuts


def unexpected(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Injected cases that did not go as they must."""
    return [each for each in report["injected"] if each["outcome"] != each["expected"]]


@pytest.mark.timeout(900)
async def test_a_driver_cut_off_again_and_again_ends_in_the_same_report() -> None:
    """SC-2025: what is repeated is the same request; nothing is lost, doubled or dated otherwise (issue 4)."""
    undisturbed, _ = await report_of("SC-2025")
    disturbed, cuts = await report_of("SC-2025", mortal=True)
    assert cuts > 20
    assert disturbed == undisturbed
    assert unexpected(undisturbed) == []
    totals = undisturbed["totals"]
    assert (undisturbed["unaccounted_fen"], undisturbed["difference_fen"]) == (0, 0)
    assert totals["in_treasury_fen"] == totals["returned_fen"] == totals["booked_fen"] > 0
    assert totals["unidentified_fen"] == totals["refund_due_fen"] == totals["declared_fen"] == 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("pack", ["DZ-2022", "YC-2023"])
async def test_a_small_campaign_of_the_plan_is_collected_to_the_last_fen(pack: str) -> None:
    """D-56, D-40: its own window, channels and lists; every injected case goes as it must."""
    report, _ = await report_of(pack)
    assert unexpected(report) == []
    assert (report["unaccounted_fen"], report["difference_fen"]) == (0, 0)
    assert report["totals"]["in_treasury_fen"] == report["totals"]["booked_fen"] > 0
