"""The main job with real processes: whoever is killed in mid-run, the report is the same (issue 3 §4)."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deploy.local import control
from deploy.local.layout import Layout, Options
from deploy.local.postgres import PostgresServer, server_for
from deploy.local.processes import free_port, python, read_pid_file, until
from deploy.local.programs import WORLD, organisations_file
from deploy.rehearsal.campaign import Campaign
from deploy.rehearsal.plan import draw_plan
from deploy.rehearsal.report import collect_report
from shared.policy import load_pack
from tests.e2e.composition import composed

SCALE = 0.03
SEED = 3
DRIVER = "driver"
KILLS = (
    (25, "registration"),
    (34, "subsidy"),
    (52, "collection"),
    (75, DRIVER),
    (96, WORLD),
    (120, "notification"),
    (150, "collection"),
    (190, WORLD),
    (215, DRIVER),
    (240, "registration"),
    (260, "collection"),
)
"""(steps done, who is killed then)."""
MAY_DIFFER = ("seconds", "peak_mib", "disk_mib", "messages", "endpoints", "broker")


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """A report without what the issue lets differ."""
    kept = {name: value for name, value in document.items() if name not in MAY_DIFFER}
    kept["injected"] = [
        {name: value for name, value in each.items() if name != "event_ids"} for each in document["injected"]
    ]
    return kept


async def undisturbed() -> dict[str, Any]:
    """The report of the same seed from one process in which nobody dies."""
    async with composed(SEED) as system:
        driver = system.driver(draw_plan(load_pack("ST-2020"), "店子镇", SEED, SCALE))
        await Campaign(driver).run()
        return comparable((await collect_report(driver)).document())


def steps_done(journal: Path) -> int:
    """How far the run is; 0 before its journal is there."""
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT COUNT(*) FROM step").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Options]:
    yield Options(data=tmp_path / "data", port_base=free_port())
    server = server_for(tmp_path / "data")
    if isinstance(server, PostgresServer):
        server.destroy()


async def start_driver(options: Options, report: Path) -> asyncio.subprocess.Process:
    """The driver as a process of its own."""
    with report.open("wb") as out:
        return await asyncio.create_subprocess_exec(
            python(), "-m", "deploy.rehearsal.demo",
            "--data", options.data / "demo", "--organisations", organisations_file(),
            "--scale", str(SCALE), "--seed", str(SEED), "--port-base", str(options.port_base),
            stdout=out, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip


@pytest.mark.processes
@pytest.mark.postgres
@pytest.mark.timeout(1500)
async def test_whoever_is_killed_the_report_is_the_same(options: Options, tmp_path: Path) -> None:
    """kill -9 of each service, the outside world and the driver; the supervisor and a second call go on."""
    journal = options.data / "demo" / "demo.sqlite"
    report = tmp_path / "report.json"
    layout = Layout(options.data)
    await control.up(options)
    try:
        driver = await start_driver(options, report)
        for steps, victim in KILLS:
            reached = await until(
                lambda steps=steps, driver=driver: (
                    steps_done(journal) >= steps  # type: ignore[misc]
                    or driver.returncode is not None
                ),
                seconds=600,
            )
            assert reached
            assert driver.returncode is None, (victim, steps_done(journal))
            if victim == DRIVER:
                driver.kill()
                await driver.wait()
                driver = await start_driver(options, report)
                continue
            running = read_pid_file(layout.pid(victim))
            assert running is not None
            running.signal(signal.SIGKILL)
        assert await asyncio.wait_for(driver.wait(), 900) == 0
    finally:
        await control.down(options.data)
    found = comparable(json.loads(report.read_text(encoding="utf-8")))
    expected = await undisturbed()
    assert found == json.loads(json.dumps(expected))
