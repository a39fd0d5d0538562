"""A whole campaign in one process: the same driver, steps and outside world as ``liangxian demo``."""

from __future__ import annotations

import pytest

from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.plan import draw_plan
from deploy.rehearsal.report import Report, collect_report
from shared.policy import load_pack
from tests.e2e.composition import composed

SCALE = 0.05


_runs: dict[int, tuple[Report, list[tuple[str, int, str, str, bytes]]]] = {}


async def run_village(seed: int) -> tuple[Report, list[tuple[str, int, str, str, bytes]]]:
    """As ``run_village_anew``, kept for the tests that only look."""
    if seed not in _runs:
        _runs[seed] = await run_village_anew(seed)
    return _runs[seed]


async def run_village_anew(seed: int) -> tuple[Report, list[tuple[str, int, str, str, bytes]]]:
    """Report and all logs (service, position, stream, type, data) of a run."""
    plan = draw_plan(load_pack("ST-2020"), "店子镇", seed=seed, scale=SCALE, villages=1)
    async with composed(seed) as system:
        driver = system.driver(plan)
        await Campaign(driver).run()
        report = await collect_report(driver)
        logs = [row for name in sorted(system.services) for row in await system.log_of(name)]
    return report, logs


@pytest.mark.timeout(600)
async def test_a_small_village_is_collected_to_the_last_fen() -> None:
    """ST-2020 at a twentieth of its people (issue 3 §3, §4): every injected event comes out as it must."""
    report, logs = await run_village(1)
    wrong = [each for each in report.injected if each["outcome"] != each["expected"]]
    assert wrong == []
    assert (report.unaccounted_fen, report.difference_fen) == (0, 0)
    assert report.records_compared > 0
    totals = report.totals
    assert totals["unidentified_fen"] == totals["refund_due_fen"] == 0
    assert totals["in_treasury_fen"] == totals["returned_fen"] == totals["booked_fen"] > 0
    assert totals["due_fen"] > totals["paid_fen"] > totals["subsidised_fen"] > 0
    assert report.events == len(logs)
    assert [step["step"] for step in report.steps] == [
        step.step for step in load_pack("ST-2020").document.flow
    ]


@pytest.mark.timeout(600)
async def test_one_seed_gives_one_history() -> None:
    """Same seed again: identical logs, identical report (architecture §5, Determinism)."""
    first_report, first = await run_village(1)
    second_report, second = await run_village_anew(1)
    assert first == second
    assert first_report.document() == second_report.document()
