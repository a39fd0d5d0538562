"""A small village's campaign as ``liangxian demo`` runs it: real processes, watched, killed, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from deploy.audit.evidence import SERVICES, Evidence, read_log
from deploy.audit.running import auditor_addresses, joined, read_books
from deploy.local import control
from deploy.local.kafka import KafkaServer
from deploy.local.layout import WORLD_OFFSET, Broker, Layout, Options, read_state
from deploy.local.postgres import PostgresServer, server_for
from deploy.local.processes import Running, leash, python, read_pid_file, tail_of, until
from deploy.local.programs import WORLD

SEED = 3
SCALE = 0.03
"""The fewest people of whom every injected case still has its own."""
DRIVER = "driver"
REACHED_SECONDS = 600.0
RUN_SECONDS = 1200.0

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


VILLAGE = ("--pack", "ST-2020", "--villages", "1", "--seed", str(SEED), "--scale", str(SCALE))
"""What is demonstrated unless something else is asked for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an onlooker sees of a run: the driver's journal and the outside world's books, read-only."""

    data: Path

    def step(self, name: str) -> bool:
        """A step of the driver is done, and what it caused is at rest."""
        journal = self.data / DRIVER / "demo.sqlite"
        return self._number(journal, "SELECT COUNT(*) FROM step WHERE name = ?", name) > 0

    def step_like(self, pattern: str) -> bool:
        """A step is done whose name is like the pattern (``%/submit-lists``)."""
        journal = self.data / DRIVER / "demo.sqlite"
        return self._number(journal, "SELECT COUNT(*) FROM step WHERE name LIKE ?", pattern) > 0

    def days(self) -> int:
        """Business days that were begun."""
        journal = self.data / DRIVER / "demo.sqlite"
        return self._number(journal, "SELECT COUNT(*) FROM step WHERE name LIKE '%/begin-day'")

    def paid(self, share: float) -> bool:
        """So much of what will be paid by file or order was taken."""
        planned = self._number(self.data / WORLD / "world.sqlite", "SELECT SUM(orders) FROM planned")
        return planned > 0 and self.books("orders", "state = 'TAKEN'") >= share * planned

    def books(self, table: str, where: str = "1 = 1") -> int:
        """Rows in one of the outside's books."""
        return self._number(self.data / WORLD / "world.sqlite", f"SELECT COUNT(*) FROM {table} WHERE {where}")

    @staticmethod
    def _number(file: Path, query: str, *values: str) -> int:
        """0 before the file is there, and while nobody has opened it again after a kill."""
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                return int(database.execute(query, values).fetchone()[0] or 0)
        except sqlite3.OperationalError:
            return 0


AUDITED = ("clean", "unaccounted_fen", "difference_fen", "event_types", "events", "states", "projections",
           "gauges", "records_compared")  # fmt: skip
"""What of an audit is the same whatever befell a run."""


def differences(folder: Path, undisturbed: Path) -> list[str]:
    """What the reports and audits in two folders say otherwise, a line each; the broker's name may differ."""
    found: list[str] = []
    for name in ("report.json", "audit.json"):
        said, expected = (
            json.loads((each / name).read_text(encoding="utf-8")) for each in (folder, undisturbed)
        )
        if name == "report.json":
            said, expected = (comparable(each) | {"broker": ""} for each in (said, expected))
        else:
            said, expected = ({key: each.get(key) for key in AUDITED} for each in (said, expected))
        for key in sorted(said.keys() | expected.keys()):
            found += _differing(f"{name}: {key}", said.get(key), expected.get(key))
    return found


def _differing(where: str, said: Any, expected: Any) -> list[str]:
    """The innermost places where two documents differ."""
    if said == expected:
        return []
    if isinstance(said, dict) and isinstance(expected, dict):
        keys = sorted(said.keys() | expected.keys())
        return [
            line for key in keys for line in _differing(f"{where}.{key}", said.get(key), expected.get(key))
        ]
    if isinstance(said, list) and isinstance(expected, list) and len(said) == len(expected):
        pairs = enumerate(zip(said, expected, strict=True))
        return [line for number, pair in pairs for line in _differing(f"{where}[{number}]", *pair)]
    return [f"{where}: {said!r}, undisturbed {expected!r}"]


class Moment(Protocol):
    """Something that befalls a run once ``when`` is seen."""

    @property
    def when(self) -> Callable[[Progress], bool]:
        """What must have been seen before."""
        ...


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
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the driver and the system it starts find in their environment beside ours."""
    campaign: Sequence[str] = VILLAGE
    """Options of ``demo``: pack, place, scale, seed."""
    workers: Mapping[str, int] = field(default_factory=dict)
    """See ``Options.workers``."""
    patience_seconds: float = RUN_SECONDS
    """How long the whole may take, and how long a moment is waited for."""

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
        return Options(
            data=self.data, broker=self.broker, port_base=self.port_base, workers=dict(self.workers)
        )

    def document(self, name: str) -> dict[str, Any]:
        """``report.json`` or ``audit.json``."""
        found: dict[str, Any] = json.loads((self.folder / "out" / name).read_text(encoding="utf-8"))
        return found

    async def drive(self) -> asyncio.subprocess.Process:
        """``liangxian demo``: starts the system or finds it running, goes on where the last driver was."""
        workers = [word for name, many in self.workers.items() for word in ("--workers", f"{name}={many}")]
        with self.log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                python(), "-m", "deploy.cli", "demo", *self.campaign, "--keep",
                "--broker", self.broker.value, "--data", self.data, "--out", self.folder / "out",
                "--port-base", str(self.port_base), *workers,
                stdout=out, stderr=out, env={**os.environ, **self.environment},
            )  # fmt: skip

    async def run(self, moments: Sequence[Moment] = ()) -> None:
        """The whole campaign; what befalls it (``befall``) does so as soon as its moment is seen, in turn."""
        driver = await self.drive()
        let_go: Callable[[], None] | None = None
        try:
            let_go = await self._leashed(driver)
            for moment in moments:
                await self._await_moment(moment, driver)
                driver = await self.befall(moment, driver)
            code = await asyncio.wait_for(driver.wait(), self.patience_seconds)
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
            seconds=180,
        )
        supervisor = control.supervisor_of(self.layout)
        assert started
        return leash(supervisor.pid, signal.SIGTERM) if supervisor is not None else None

    async def _await_moment(self, moment: Moment, driver: asyncio.subprocess.Process) -> None:
        """Wait until it is seen, the campaign going on."""
        progress = Progress(self.data)
        seen = await until(
            lambda: driver.returncode is not None or moment.when(progress),
            seconds=max(REACHED_SECONDS, self.patience_seconds / 2),
            every=0.02,
        )
        assert seen, f"never seen: {moment}"
        assert driver.returncode is None, f"over before {moment}: {tail_of(self.log, 40)}"

    async def befall(self, moment: Moment, driver: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """``kill -9``; answers the driver that goes on."""
        assert isinstance(moment, Kill)
        if moment.victim == DRIVER:
            driver.kill()
            await driver.wait()
            self.driver_kills += 1
            return await self.drive()
        running = await self.process(moment.victim)
        assert running.signal(signal.SIGKILL), moment
        assert await until(lambda: not running.alive(), seconds=10), moment
        return driver

    async def process(self, name: str) -> Running:
        """A process of the system as it runs now, or again in a moment."""
        pid_file = self.layout.pid(name)
        assert await until(lambda: read_pid_file(pid_file) is not None, seconds=30), name
        running = read_pid_file(pid_file)
        assert running is not None
        return running

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
        """Stop it and drop its databases and what the broker kept; logs and reports stay."""
        await self.stop()
        await asyncio.to_thread(shutil.rmtree, KafkaServer(self.data).home, ignore_errors=True)
        server = server_for(self.data)
        if isinstance(server, PostgresServer):
            await asyncio.to_thread(server.destroy)
