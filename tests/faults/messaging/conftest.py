"""Two services' databases, a broker, and processes between them that end with the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import msgspec
import pytest

from deploy.local.processes import leash, tail_of, until
from shared.contracts.topics import VITAL
from shared.eventstore.migrate import migrate
from shared.kernel.clock import SystemRuntime
from shared.messaging.broker import Broker
from shared.messaging.embedded import prepare
from shared.messaging.fence import reset_offset
from tests.faults.messaging.processes import Role, make_writer, open_broker, open_database
from tests.unit.messaging.samples import MESSAGES, EmploymentNoted, note

ROOT = Path(__file__).parents[3]


@dataclass
class Child:
    """A process of ours."""

    process: subprocess.Popen[bytes]
    log: Path
    let_go: Callable[[], None]

    def dead(self) -> bool:
        return self.process.poll() is not None

    def frozen(self) -> bool:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(") ")[2].startswith("T")

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        if not self.dead():
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL: no test leaves a process behind."""
        if not self.dead():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
            if not self.dead():
                self.process.kill()
                self.process.wait(timeout=10)
        self.let_go()


@dataclass
class Theatre:
    """left publishes, right takes. ``facts`` is what the detector looks at."""

    kind: str
    address: str
    left: str
    right: str
    group: str
    logs: Path
    children: list[Child] = field(default_factory=list)
    brokers: list[Broker] = field(default_factory=list)
    noted: int = 0
    began: int = 0

    def start(self, kind: str, **options: object) -> Child:
        """Start a relay or a consumer."""
        dsn = self.left if kind == "relay" else self.right
        settings = {"group": self.group, **options}
        role = msgspec.convert(
            {"kind": kind, "dsn": dsn, "broker": self.kind, "address": self.address, **settings}, Role
        )
        log = self.logs / f"{kind}-{len(self.children)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.faults.messaging.processes",
                    msgspec.json.encode(role).decode(),
                ],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONWARNINGS": "default"},
            )
        child = Child(process, log, leash(process.pid, 9))
        self.children.append(child)
        return child

    async def note(self, count: int) -> None:
        """Append facts to the left log, in pages of commands."""
        database = open_database(self.left)
        writer = make_writer(database)
        await writer.start()
        people = [EmploymentNoted(person_id=f"p{i % 23}") for i in range(self.noted, self.noted + count)]
        await note(_Parts(writer), *people)  # type: ignore[arg-type]
        self.noted += count
        await writer.stop()
        await database.close()

    async def facts(self) -> list[tuple[str, int]]:
        """(stream, source position) of everything received, in log order."""
        connection = await asyncpg.connect(self.right)
        rows = await connection.fetch(
            "SELECT stream, (metadata->'extra'->>'sequence')::int AS place FROM platform.events ORDER BY position"
        )
        await connection.close()
        return [(row["stream"], row["place"]) for row in rows]

    async def wait(self, condition: Callable[[], Awaitable[bool]] | Callable[[], bool], what: str) -> None:
        """Until a condition holds; says what the processes said when it does not."""
        if not await until(condition, seconds=90, every=0.05):
            said = "\n".join(f"{child.log.name}:\n{tail_of(child.log, 12)}" for child in self.children)
            raise AssertionError(f"{what} did not come about\n{said}")

    async def settled(self) -> list[tuple[str, int]]:
        """Wait until every fact has arrived, and give repeats the time to arrive too."""

        async def all_there() -> bool:
            return {place for _, place in await self.facts()} == set(range(1, self.noted + 1))

        await self.wait(all_there, f"the arrival of {self.noted} facts")
        await self.wait(self.no_lag, "the end of the lag")
        return await self.facts()

    async def no_lag(self) -> bool:
        """Every message the broker holds is behind our offsets."""
        broker = self.connect()
        bounds = await broker.bounds([VITAL.name])
        connection = await asyncpg.connect(self.right)
        rows = await connection.fetch(
            "SELECT part, next_offset FROM platform.offsets WHERE topic = $1", VITAL.name
        )
        await connection.close()
        offsets = {row["part"]: row["next_offset"] for row in rows}
        return all(offsets.get(partition.part, 0) == end for partition, (_, end) in bounds.items())

    def connect(self) -> Broker:
        """This process's client of the broker."""
        if not self.brokers:
            self.brokers.append(open_broker(self.kind, self.address))
        return self.brokers[0]

    async def published(self) -> int:
        """Messages in the topic beyond where this test began."""
        return sum(end for _, end in (await self.connect().bounds([VITAL.name])).values()) - self.began


@dataclass
class _Parts:
    """What ``note`` needs of a service."""

    store: object


def exactly_once(facts: list[tuple[str, int]], count: int) -> None:
    """The detector: every fact, none twice, in order per person."""
    times = Counter(place for _, place in facts)
    missing = sorted(set(range(1, count + 1)) - set(times))
    repeated = sorted(place for place, number in times.items() if number > 1)
    assert not missing, f"lost: {missing[:10]}"
    assert not repeated, f"booked twice: {repeated[:10]}"
    by_stream: dict[str, list[int]] = {}
    for stream, place in facts:
        by_stream.setdefault(stream, []).append(place)
    assert all(places == sorted(places) for places in by_stream.values()), "reordered"


async def open_theatre(kind: str, address: str, make: Callable[..., str], logs: Path) -> Theatre:
    """Fresh databases; on a shared Kafka, begin behind what other tests left."""
    theatre = Theatre(kind, address, make(migrate), make(migrate), f"g{os.getpid()}-{logs.name}", logs)
    broker = theatre.connect()
    await broker.start()
    await broker.create_topics({message.topic for message in MESSAGES})
    bounds = await broker.bounds(sorted({message.topic.name for message in MESSAGES}))
    database = open_database(theatre.right)
    async with database.begin() as connection:
        for partition, (_, end) in bounds.items():
            await reset_offset(connection, theatre.group, partition, end)
    await database.close()
    theatre.began = sum(end for partition, (_, end) in bounds.items() if partition.topic == VITAL.name)
    return theatre


async def close_theatre(theatre: Theatre) -> None:
    for child in theatre.children:
        child.ask_to_stop()
    for child in theatre.children:
        child.stop()
    for broker in theatre.brokers:
        await broker.stop()
    await SystemRuntime().sleep(0)  # transports close in the next turn of the loop


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def theatre(
    request: pytest.FixtureRequest, database_factory: Callable[..., str], tmp_path: Path
) -> AsyncIterator[Theatre]:
    embedded = request.param == "embedded"
    address = database_factory(prepare) if embedded else request.getfixturevalue("kafka").bootstrap
    made = await open_theatre(request.param, address, database_factory, tmp_path)
    yield made
    await close_theatre(made)
