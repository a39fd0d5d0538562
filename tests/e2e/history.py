"""Writes down the four logs of a small village's campaign.

``python -m tests.e2e.history SEED SCALE DAYS FOLDER``; DAYS 0 is all of them. A process of its own, so that
a test can vary the interpreter's hash seed and compare the bytes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path

import msgspec

from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.plan import draw_plan
from shared.policy import load_pack
from tests.e2e.composition import System, composed

PLACE = "店子镇"


async def run_village(system: System, seed: int, scale: float, days: int = 0) -> None:
    """The demonstration's driver, steps and outside world, from an empty system to a reconciled one."""
    plan = draw_plan(load_pack("ST-2020"), PLACE, seed=seed, scale=scale, villages=1)
    campaign = Campaign(system.driver(plan))
    if days:
        campaign.last = campaign.first + dt.timedelta(days=days - 1)
    await campaign.run()


def history(system: System, service: str) -> bytes:
    """A log as lines, one row each with every column: ids, positions, streams, payloads, metadata, times."""
    rows = system.services[service].parts.log.rows
    return b"".join(msgspec.json.encode([_text(column) for column in row]) + b"\n" for row in rows)


def _text(column: object) -> object:
    return column.decode() if isinstance(column, bytes) else column


async def write_histories(seed: int, scale: float, days: int, folder: Path) -> None:
    """``{service}.ndjson`` of each service."""
    async with composed(seed=seed) as system:
        await run_village(system, seed, scale, days)
        for service in system.services:
            (folder / f"{service}.ndjson").write_bytes(history(system, service))


if __name__ == "__main__":
    asyncio.run(write_histories(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
