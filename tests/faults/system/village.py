"""A small village's campaign as ``liangxian demo`` runs it: real processes, watched, killed, stopped."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.audit.evidence import SERVICES, Evidence, read_log
from deploy.audit.running import auditor_addresses, joined, read_books
from deploy.local import control
from deploy.local.layout import WORLD_OFFSET, Broker, Layout, Options, read_state
from deploy.local.postgres import PostgresServer, server_for
from deploy.local.processes import leash, python, read_pid_file, tail_of, until
from deploy.local.programs import WORLD

SEED = 3
SCALE = 0.03
"""The fewest people of whom every injected case still has its own."""
DRIVER = "driver"
REACHED_SECONDS = 300.0
RUN_SECONDS = 600.0

MAY_DIFFER = (
    "seconds", "peak_mib", "cpu_seconds", "cpu_ms_per_person", "disk_mib", "disk_mib_parts", "costs",
    "messages", "endpoints",
)  # fmt: skip
"""What the issue lets differ between two runs, beside event ids."""


def comparable(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report without what may differ."""
    kept = {name: value for name, value in report.items() if name not in MAY_DIFFER}
    kept["injected"] = [
        {name: value for name, value in each.items() if name != "event_ids"} for each in report["injected"]
    ]
    return kept


@dataclass(frozen=True, slots=True)
class Progress:
    """What an onlooker sees of a run: the driver's journal and the outside world's books, read-only."""

    data: Path

    def step(self, name: str) -> bool:
        """A step of the driver is done, and what it caused is at rest."""
        journal = self.data / DRIVER / "demo.sqlite"
        return self._number(journal, "SELECT COUNT(*) FROM step WHERE name = ?", name) > 0

    def books(self, table: str, where: str = "1 = 1") -> int:
        """Rows in one of the outside's books."""
        return self._number(self.data / WORLD / "world.sqlite", f"SELECT COUNT(*) FROM {table} WHERE {where}")

    @staticmethod
    def _number(file: Path, query: str, *values: str) -> int:
        """0 before the file is there, and while nobody has opened it again after a kill."""
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                return int(database.execute(query, values).fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@dataclass(frozen=True, slots=True)
class Kill:
    """Who is killed, in which phase, and what must have been seen before."""

    victim: str
    phase: str
    when: Callable[[Progress], bool] = field(repr=False)


@dataclass
class Village:
    """A demonstration in a data directory of its own. ``--keep``: it is stopped by ``stop``."""

    folder: Path
    port_base: int
    broker: Broker = Broker.EMBEDDED
    driver_kills: int = 0

    @property
    def data(self) -> Path:
        """The system's data directory."""
        return self.folder / "data"

    @property
    def layout(self) -> Layout:
        """Its files."""
        return Layout(self.data)

    @property
    def log(self) -> Path:
        """What all drivers said."""
        return self.folder / "demo.log"

    @property
    def options(self) -> Options:
        """As ``demo`` starts it."""
        return Options(data=self.data, broker=self.broker, port_base=self.port_base)

    def document(self, name: str) -> dict[str, Any]:
        """``report.json`` or ``audit.json``."""
        found: dict[str, Any] = json.loads((self.folder / "out" / name).read_text(encoding="utf-8"))
        return found

    async def drive(self) -> asyncio.subprocess.Process:
        """``liangxian demo``: starts the system or finds it running, goes on where the last driver was."""
        with self.log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                python(), "-m", "deploy.cli", "demo", "--pack", "ST-2020", "--villages", "1", "--keep",
                "--seed", str(SEED), "--scale", str(SCALE), "--broker", self.broker.value,
                "--data", self.data, "--out", self.folder / "out",
                "--port-base", str(self.port_base),
                stdout=out, stderr=out,
            )  # fmt: skip

    async def run(self, kills: Sequence[Kill] = ()) -> None:
        """The whole campaign, with ``kill -9`` of each in turn as soon as its moment is seen."""
        driver = await self.drive()
        let_go: Callable[[], None] | None = None
        try:
            let_go = await self._leashed(driver)
            for kill in kills:
                driver = await self._kill(kill, driver)
            code = await asyncio.wait_for(driver.wait(), RUN_SECONDS)
            assert code == 0, tail_of(self.log, 40)
        finally:
            if driver.returncode is None:
                driver.kill()
                await driver.wait()
            if let_go is not None:
                let_go()

    async def _leashed(self, driver: asyncio.subprocess.Process) -> Callable[[], None] | None:
        """The system ends with this process, however it ends; calling the result lets it go on."""
        started = await until(
            lambda: control.supervisor_of(self.layout) is not None or driver.returncode is not None,
            seconds=60,
        )
        supervisor = control.supervisor_of(self.layout)
        assert started
        return leash(supervisor.pid, signal.SIGTERM) if supervisor is not None else None

    async def _kill(self, kill: Kill, driver: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """Wait for the moment, kill; answers the driver that goes on."""
        progress = Progress(self.data)
        seen = await until(
            lambda: driver.returncode is not None or kill.when(progress),
            seconds=REACHED_SECONDS,
            every=0.02,
        )
        assert seen, f"never seen: {kill}"
        assert driver.returncode is None, f"over before {kill}: {tail_of(self.log, 40)}"
        if kill.victim == DRIVER:
            driver.kill()
            await driver.wait()
            self.driver_kills += 1
            return await self.drive()
        pid_file = self.layout.pid(kill.victim)
        assert await until(lambda: read_pid_file(pid_file) is not None, seconds=30), kill
        running = read_pid_file(pid_file)
        assert running is not None
        assert running.signal(signal.SIGKILL), kill
        assert await until(lambda: not running.alive(), seconds=10), kill
        return driver

    def restarts(self) -> dict[str, int]:
        """How often the supervisor started each program again."""
        state = read_state(self.layout)
        assert state is not None
        return {name: each.restarts for name, each in state.programs.items()}

    async def evidence(self) -> Evidence:
        """The four logs and the outside's books, as an auditor reads them."""
        addresses = auditor_addresses(self.data)
        logs = {name: await read_log(addresses[name]) for name in SERVICES}
        campaign = self.document("report.json")["campaign"]
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            world = f"http://127.0.0.1:{self.port_base + WORLD_OFFSET}"
            return Evidence(logs, joined([page async for page in read_books(http, world, [campaign])]))

    async def stop(self) -> None:
        """Stop the system; its data stays."""
        await control.down(self.data)

    async def destroy(self) -> None:
        """Stop it and drop its databases."""
        await self.stop()
        server = server_for(self.data)
        if isinstance(server, PostgresServer):
            await asyncio.to_thread(server.destroy)
