"""Scenario 13 as the rehearsal runs it: two years on the same databases, each reconciled, one following the other."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from deploy.audit.evidence import Evidence, rows_of
from deploy.audit.verify import AuditReport, audit
from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.clients import SERVICES
from deploy.rehearsal.demo import write_next_pack
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.plan import draw_plan, follow_plan
from deploy.rehearsal.report import collect_report
from deploy.rehearsal.years import continue_from
from shared.policy import is_synthetic, load_pack
from shared.policy.registry import open_registry
from tests.e2e.composition import System, composed

DAY = dt.timedelta(days=1)


def audited(system: System, packs: Path) -> AuditReport:
    """All invariants over both years."""
    logs = {
        name: rows_of([row._asdict() for row in system.services[name].parts.log.rows]) for name in SERVICES
    }
    held = {f"{pack.id}/{pack.version}": pack for pack in open_registry(packs)}
    return audit(Evidence(logs, packs=held))


def unexpected(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Injected cases that did not go as they must."""
    return [each for each in report["injected"] if each["outcome"] != each["expected"]]


@pytest.mark.timeout(900)
async def test_a_year_follows_another_on_the_same_databases(tmp_path: Path) -> None:
    """D-12, D-43, D-48: targets and rosters of 2026 rest on what 2025 booked and showed; both years reconcile."""
    first = draw_plan(load_pack("SC-2025"), "", seed=1, scale=0.02, villages=2, goes_on=True)
    async with composed(1, first.script.days.open - DAY, packs=tmp_path) as system:
        earlier = system.driver(first, Journal(None))
        await Campaign(earlier).run()
        before = (await collect_report(earlier)).document()
        assert unexpected(before) == []

        second = follow_plan(first, write_next_pack(first, tmp_path))
        driver = system.driver(second, Journal(None))
        await continue_from(driver, earlier.journal)
        await Campaign(driver).run()
        after = (await collect_report(driver)).document()
        assert unexpected(after) == []
        found = audited(system, tmp_path)

    assert is_synthetic(second.pack)
    assert {each.id: each.details for each in found.invariants if each.violations} == {}
    for report in (before, after):
        assert (report["unaccounted_fen"], report["difference_fen"], report["open_matters"]) == (0, 0, [])
        totals = report["totals"]
        assert totals["in_treasury_fen"] == totals["returned_fen"] == totals["booked_fen"] > 0
    assert set(before) == set(after), "the second year says the same things"
    injected = {each["kind"]: each["outcome"] for each in after["injected"]}
    assert {each["kind"] for each in before["injected"]} < set(injected)
    assert injected["LATE_PAYER_OF_LAST_YEAR"] == "assessed, TAKEN, booked 2025 2026"
    villages = {row["division"]: row for row in after["changes"]}
    assert set(villages) == {size.division for size in second.villages}
    cast = villages[second.cast.division]
    assert {"DIED", "MOVED", "NOT_REGISTERED"} <= set(cast["lapsed"])
    assert cast["lapsed_lines"] == sum(cast["lapsed"].values())
    assert (
        sum(row["continuing"] for row in after["changes"]) > 0 < sum(row["new"] for row in after["changes"])
    )
    assert sum(row["target_persons"] for row in after["villages"]) > 0
    assert all(row["lapsed"].get("NOT_REGISTERED", 0) > 0 for row in before["changes"]), "employees since"
