"""Workers of a service that come, go and stand still in the middle of a campaign (issue 5 §4).

Who owns which partition stands in the service's own database: a change is over when the partitions have moved,
never after a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import asyncpg
import httpx
import msgspec

from deploy.audit.running import auditor_addresses
from deploy.local.kafka import KafkaServer
from deploy.local.layout import Broker, read_state
from deploy.local.processes import (
    Running,
    end,
    identify,
    leash,
    python,
    refuse_taken,
    spawn,
    tail_of,
    until,
    write_pid_file,
)
from deploy.local.programs import HOST, Program, programs, service_of, worker_name
from tests.faults.system.village import Kill, Moment, Village

MOVED_SECONDS = 180.0
"""A worker starts, or a frozen one's session ends, on a machine that is busy with a campaign."""
LOOK_SECONDS = 0.1
_LAG = re.compile(r"^liangxian_consumer_lag_messages\{[^}]*\} (\S+)$", re.MULTILINE)

Owners = Mapping[tuple[str, int], str]
"""Token of the worker that owns each partition."""


class Happening(StrEnum):
    """What a worker does."""

    JOINS = "joins"
    LEAVES = "leaves"
    STANDS_STILL = "stands still and goes on"


@dataclass(frozen=True, slots=True)
class Change(Kill):
    """A worker joins (it is started), leaves (SIGTERM), or stands still until others have its partitions."""

    happening: Happening = Happening.STANDS_STILL


@dataclass(frozen=True, slots=True)
class SeenChange:
    """moved_seconds: until the partitions had moved; owners: so many share them then; most_behind: messages
    waiting for the service, the most that was seen meanwhile."""

    change: Change
    partitions: int
    moved: int
    moved_seconds: float
    owners: int
    most_behind: int

    def line(self) -> str:
        """A row of the list."""
        what = f"{self.change.victim} {self.change.happening}, {self.change.phase}"
        moved = f"{self.moved} of {self.partitions}"
        return f"| {what} | {moved} | {self.moved_seconds:.1f} | {self.owners} | {self.most_behind} |"


def listed(seen: Iterable[SeenChange], file: Path) -> str:
    """What was seen as a table, written to a file too."""
    head = (
        "| 变化 / change | 分区移动 / partitions moved | s | 持有 / claims then | 最多待取 / most waiting |",
        "|---|---|---|---|---|",
    )
    text = "\n".join([*head, *(each.line() for each in seen)]) + "\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return text


@dataclass
class WorkingVillage(Village):
    """A campaign whose services are shared by several workers, of which some change."""

    changes: list[SeenChange] = field(default_factory=list)
    _joined: dict[str, Running] = field(default_factory=dict)
    _leases: list[object] = field(default_factory=list)

    async def befall(self, moment: Moment, driver: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """See Village.befall; a change is waited for until the partitions have moved."""
        if not isinstance(moment, Change):
            return await super().befall(moment, driver)
        service = service_of(moment.victim)
        before, began = await self.owners(service), time.monotonic()
        async with self._behind(service) as most:
            if moment.happening is Happening.JOINS:
                await self._join(moment.victim)
                moved = await self._moved(moment, before)
            elif moment.happening is Happening.LEAVES:
                await self._leave(moment.victim)
                moved = await self._moved(moment, before)
            else:
                running = await self.process(moment.victim)
                assert running.signal(signal.SIGSTOP), moment
                try:
                    moved = await self._moved(moment, before)
                finally:
                    running.signal(signal.SIGCONT)
        changed = sum(moved[each] != owner for each, owner in before.items())
        self.changes.append(
            SeenChange(
                moment, len(moved), changed, time.monotonic() - began, len(set(moved.values())), most[0]
            )
        )
        return driver

    def addresses(self) -> dict[str, str]:
        """Base address of every process there is, those that joined included."""
        state = read_state(self.layout)
        found = {} if state is None else state.addresses()
        return found | {name: f"http://{HOST}:{self._program(name).port}" for name in self._joined}

    async def owners(self, service: str) -> Owners:
        """Who owns what, by the service's own database."""
        connection = await asyncpg.connect(auditor_addresses(self.data)[service])
        try:
            rows = await connection.fetch(
                "SELECT topic, part, owner FROM platform.offsets WHERE grp = $1", service
            )
        finally:
            await connection.close()
        return {(row["topic"], row["part"]): str(row["owner"]) for row in rows}

    async def _moved(self, change: Change, before: Owners) -> Owners:
        """Wait until a partition has another owner than before."""
        after: Owners = {}

        async def moved() -> bool:
            nonlocal after
            after = await self.owners(service_of(change.victim))
            return any(after[each] != owner for each, owner in before.items())

        assert await until(moved, seconds=MOVED_SECONDS, every=LOOK_SECONDS), f"nothing moved: {change}"
        return after

    async def _join(self, name: str) -> None:
        """Start one more process of a service, as the supervisor would have started it."""
        program = self._program(name)
        refuse_taken(program.port)
        child = spawn(
            [python(), "-m", program.module],
            log=self.layout.log(name),
            environment=program.environment,
            directory=self.data,
        )
        running = identify(child.pid)
        assert running is not None, tail_of(self.layout.log(name))
        write_pid_file(self.layout.pid(name), running)
        self._joined[name] = running
        self._leases.append(leash(child.pid, signal.SIGKILL))

    async def _leave(self, name: str) -> None:
        """SIGTERM: it gives back what it holds. Who was started by the supervisor is started again by it."""
        running = await self.process(name)
        assert await end(running, grace=60), f"{name} did not end by itself"
        if self._joined.pop(name, None) is not None:
            self.layout.pid(name).unlink(missing_ok=True)

    def _program(self, name: str) -> Program:
        service = service_of(name)
        number = int(name.removeprefix(worker_name(service, 0)[:-1]))
        addresses = msgspec.json.decode(self.layout.databases.read_bytes())
        kafka = KafkaServer(self.data).bootstrap if self.broker is Broker.KAFKA else None
        options = replace(self.options, workers={service: number})
        return next(each for each in programs(options, self.layout, addresses, kafka) if each.name == name)

    @asynccontextmanager
    async def _behind(self, service: str) -> AsyncIterator[list[int]]:
        """The most messages that waited, as the service's own gauges tell."""
        most = [0]

        async def look() -> None:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
                while True:
                    behind = 0
                    for name, address in self.addresses().items():
                        if service_of(name) == service:
                            with contextlib.suppress(httpx.HTTPError):
                                said = (await http.get(f"{address}/metrics")).text
                                behind += sum(int(float(each[1])) for each in _LAG.finditer(said))
                    most[0] = max(most[0], behind)
                    await asyncio.sleep(LOOK_SECONDS * 5)

        looking = asyncio.ensure_future(look())
        try:
            yield most
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
