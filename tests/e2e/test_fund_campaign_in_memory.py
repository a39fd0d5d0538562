"""The 2018 plan's whole campaign in one process: the driver and outside world of ``liangxian demo``."""

from __future__ import annotations

import datetime as dt

import pytest

from deploy.audit.evidence import Evidence, rows_of
from deploy.audit.running import books_of
from deploy.audit.verify import audit
from deploy.rehearsal.campaign import campaign_of
from deploy.rehearsal.clients import SERVICES
from deploy.rehearsal.fund_campaign import FundCampaign
from deploy.rehearsal.plan import draw_plan
from deploy.rehearsal.report import collect_report
from shared.policy import load_pack
from tests.e2e.composition import composed

SCALE = 0.01
LACKING = {"I-02", "I-07", "I-08", "I-21", "I-23"}
"""What a plan without task table, virtual households, rosters, declarations and treasury has not."""


@pytest.mark.timeout(900)
async def test_two_villages_of_2018_are_collected_to_the_last_fen() -> None:
    """No tax bureau (000:L133-186): every injected case comes out, every line is booked or paid back."""
    async with composed(today=dt.date(2017, 10, 1)) as system:
        plan = draw_plan(load_pack("DZ-2018"), "店子镇", seed=1, scale=SCALE, villages=2)
        driver = system.driver(plan)
        campaign = campaign_of(driver)
        assert isinstance(campaign, FundCampaign)
        await campaign.run()
        report = await collect_report(driver)
        logs = {
            name: rows_of([row._asdict() for row in system.services[name].parts.log.rows])
            for name in SERVICES
        }
        books = books_of([await system.outside.get(f"/books?campaign={plan.campaign}")])
        found = audit(Evidence(logs, books))
    wrong = [each for each in report.injected if each["outcome"] != each["expected"]]
    assert wrong == []
    assert (report.unaccounted_fen, report.difference_fen) == (0, 0)
    totals = report.totals
    assert totals["unidentified_fen"] == totals["refund_due_fen"] == 0
    assert totals["in_treasury_fen"] == totals["booked_fen"] > 0
    assert {each.id for each in found.invariants if each.not_applicable} == LACKING
    assert {each.id: each.details for each in found.invariants if not each.holds} == {}
    assert (found.unaccounted_fen, found.difference_fen, found.broken) == (0, 0, ())
    assert set(found.states) == {"BOOKED", "REFUNDED"}
    for name in ("PriorYearPaymentsPublished", "SubsidyListPublicised", "WeeklyStatisticsCompiled"):
        assert found.event_types[name] > 0
    assert "TaxVoucherIssued" not in found.event_types
