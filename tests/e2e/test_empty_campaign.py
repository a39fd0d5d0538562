"""A campaign nobody takes part in: what every campaign costs, whatever its size (``demo --empty``)."""

from __future__ import annotations

import datetime as dt

import pytest

from deploy.rehearsal.campaign import EmptyCampaign
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import draw_plan, nobody
from deploy.rehearsal.rendering import html_of
from deploy.rehearsal.report import collect_report
from shared.policy import load_pack
from tests.e2e.composition import composed


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pack", ["SC-2025", "DZ-2018"])
async def test_the_days_of_a_campaign_are_run_with_nobody_in_them(pack: str) -> None:
    """Every day begins and ends in all four services; nobody owes, pays or is paid for; nothing is unaccounted."""
    plan = nobody(draw_plan(load_pack(pack), "", seed=1, scale=0.02))
    async with composed(1, plan.script.days.open - dt.timedelta(days=1)) as system:
        driver = system.driver(plan, Journal(None))
        await EmptyCampaign(driver).run()
        report = await collect_report(driver)
    days = plan.script.days
    assert driver.journal.done(f"{days.open}/open-campaign")
    assert (
        sum(name.endswith("/begin-day") for name in driver.journal.steps())
        == (days.last - days.open).days + 1
    )
    assert (report.persons, report.obligations, set(report.totals.values())) == (0, 0, {0})
    assert (report.injected, report.unaccounted_fen, report.clean) == ([], 0, True)
    report.cpu_seconds = {"collection": 1.0}
    report.add_costs()
    assert report.costs == {}, "there is nobody to share it"
    assert report.campaign in html_of(report)
