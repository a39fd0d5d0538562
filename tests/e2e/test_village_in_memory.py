"""A whole campaign in one process: the same driver, steps and outside world as ``liangxian demo``."""

from __future__ import annotations

from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.plan import draw_plan
from shared.policy import load_pack
from tests.e2e.composition import composed


async def test_a_small_village_is_collected_to_the_last_fen() -> None:
    """ST-2020, scale 0.05 (issue 3 §3, §4)."""
    plan = draw_plan(load_pack("ST-2020"), "店子镇", seed=1, scale=0.05)
    async with composed() as system:
        driver = system.driver(plan)
        await Campaign(driver).run()
