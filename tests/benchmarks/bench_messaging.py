"""Relay and consumer on the embedded broker, each beside the least that anybody could do; medians of three rounds.

Relay: a log of events to acknowledged records, against the same records handed to the broker in pages. Consumer:
records to facts booked in our log exactly once, against polling and decoding their envelopes and writing nothing.
Reaction: facts to decided commands in our log. CPU is that of this process, per event; PostgreSQL is its own.
`make bench` prints the table; ratios must not fall below the floors (KAFKA, "figures to aim at").
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from deploy.local.postgres import Server
from shared.contracts.message import Envelope
from shared.contracts.topics import TOPICS
from shared.eventstore.commands import Accepted, Append, Command, Page
from shared.eventstore.database import Connection
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.projections import ProjectionRunner
from shared.eventstore.reactions import ReactionRunner
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.tail import Tail
from shared.eventstore.tailing import PreparedReaction, Recorded
from shared.eventstore.types import EventTypes
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from shared.messaging.address import LogIdentity
from shared.messaging.broker import Batch, Broker
from shared.messaging.consumer import Consumer
from shared.messaging.embedded import EmbeddedBroker
from shared.messaging.intake import Intake
from shared.messaging.leadership import SoleLeadership
from shared.messaging.publication import Publications
from shared.messaging.relay import Relay
from tests.benchmarks.rig.accounts import seconds_of_server
from tests.unit.messaging.samples import EVENTS, MESSAGES, EmploymentNoted, EmploymentPublication, Unheard

EVENTS_A_ROUND = 20_000
ROUNDS = 3
RELAY_FLOOR = 0.3
CONSUMER_FLOOR = 0.1

TYPES = EventTypes(EVENTS, MESSAGES)
PERSONS: Category[int] = Category("person", 0, lambda state, _: state + 1)
METADATA = Metadata("c" * 36, "i" * 36, "agent:a1", "village-agent", "370406-2020", "st-2020", "d" * 64)


@dataclass
class Measured:
    """Events per second and CPU microseconds per event, of this process and of PostgreSQL, a round each."""

    postmaster: int = 0
    wal_end: Callable[[], Awaitable[int]] | None = None
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    async def take(self, name: str, count: int, work: Callable[[], Awaitable[object]]) -> None:
        written = await self._wal()
        wall, used, server = time.perf_counter(), time.process_time(), seconds_of_server(self.postmaster)
        await work()
        used, wall = time.process_time() - used, time.perf_counter() - wall
        server = seconds_of_server(self.postmaster) - server
        self.rates.setdefault(name, []).append(count / wall)
        written = await self._wal() - written
        self.cpu.setdefault(name, []).append((1e6 * used / count, 1e6 * server / count, written / count))

    async def _wal(self) -> int:
        return 0 if self.wal_end is None else await self.wal_end()

    def show(self) -> None:
        print("\n| stage | events/s | lowest | highest | CPU µs | PostgreSQL µs | WAL bytes |")
        print("|---|---|---|---|---|---|---|")
        for name, rates in self.rates.items():
            ours, server, wal = (statistics.median(column) for column in zip(*self.cpu[name], strict=True))
            median = statistics.median(rates)
            spread = f"{min(rates):,.0f} | {max(rates):,.0f}"
            print(f"| {name} | {median:,.0f} | {spread} | {ours:.1f} | {server:.1f} | {wal:,.0f} |")

    def ratio(self, ours: str, theirs: str) -> float:
        return statistics.median(self.rates[ours]) / statistics.median(self.rates[theirs])


class Notes(PreparedReaction):
    """One command per received fact."""

    name = "notes"
    handles: tuple[type[Any], ...] = (MESSAGES[0],)

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)

    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> None:
        return None

    def answer(self, recorded: Recorded[Any], prepared: None) -> list[Command]:
        return [noted(recorded.event.person_id, Unheard(note="n"))]


def noted(person: str, event: Any) -> Command:
    stream = PERSONS.stream(person)
    return Command(
        "note", [stream], lambda _: Accepted([Append(stream, [event])], response={"s": 1}), METADATA
    )


class Service:
    """A log with everything that hangs on it."""

    def __init__(self, url: str, broker: Broker, name: str) -> None:
        self.runtime, self.clock = SystemRuntime(), WallClock()
        self.database = PostgresDatabase(url)
        self.log = PostgresLog(self.database, TYPES)
        self.tail = Tail(self.log, self.runtime)
        self.store = Writer(log=self.log, clock=self.clock, runtime=self.runtime, types=TYPES, tail=self.tail)
        told: Any = EmploymentPublication()
        publications = Publications(LogIdentity(name), [told])
        self.relay = Relay(
            log=self.log, broker=broker, publications=publications, leadership=SoleLeadership(),
            clock=self.clock, runtime=self.runtime, tail=self.tail,
        )  # fmt: skip
        self.consumer = Consumer(
            group=name, worker=f"{name}-1", broker=broker, store=self.store, database=self.database,
            intake=Intake(TYPES, MESSAGES), clock=self.clock, runtime=self.runtime, reclaim_seconds=0.0,
        )  # fmt: skip
        self.projections = ProjectionRunner(
            log=self.log, projections=[], runtime=self.runtime, tail=self.tail
        )
        self.reaction = ReactionRunner(
            reaction=Notes(), log=self.log, store=self.store, clock=self.clock, runtime=self.runtime,
            tail=self.tail, page=1000,
        )  # fmt: skip

    async def stop(self) -> None:
        await self.store.stop()
        await self.consumer.leave()
        await self.database.close()


class Bystander:
    """Listens to a subscription that only reads."""

    async def on_revoked(self, partitions: Sequence[Any]) -> None:
        return

    async def on_assigned(self, partitions: Sequence[Any]) -> None:
        return


async def until_idle(step: Callable[[], Awaitable[int]]) -> None:
    while await step():
        pass


@pytest.mark.postgres
async def test_relay_consumer_and_reaction(database_factory: Callable[..., str], postgres: Server) -> None:
    sender_url, receiver_url, broker_url = (database_factory() for _ in range(3))
    for url in (sender_url, receiver_url):
        await migrate(url)
    broker = EmbeddedBroker(broker_url, SystemRuntime())
    await broker.create_topics(TOPICS)
    sender, receiver = (
        Service(sender_url, broker, "registration"),
        Service(receiver_url, broker, "collection"),
    )
    await sender.store.start()
    await receiver.store.start()
    running = postgres.running()
    measured = Measured(running.pid if running is not None else 0)

    async def wal_end() -> int:
        async with sender.database.direct() as driver:
            return int(await driver.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    measured.wal_end = wal_end
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # as a service's process does
    try:
        await sender.relay.run_once()
        await receiver.consumer.run_once()
        reading = await broker.subscribe("reading", receiver.consumer.intake.topics, "r", Bystander())
        await reading.poll(1)
        for round_no in range(ROUNDS):
            await one_round(measured, broker, sender, receiver, reading, round_no)
        await reading.close()
    finally:
        await sender.stop()
        await receiver.stop()
        await broker.stop()
    measured.show()
    relay = measured.ratio("relay", "raw publish")
    consumer = measured.ratio("consumer", "raw poll and decode")
    print(f"| relay / raw | {relay:.2f} | | | |\n| consumer / raw | {consumer:.2f} | | | |")
    assert relay >= RELAY_FLOOR
    assert consumer >= CONSUMER_FLOOR


async def one_round(
    measured: Measured,
    broker: EmbeddedBroker,
    sender: Service,
    receiver: Service,
    reading: Any,
    round_no: int,
) -> None:
    people = [f"{round_no:04d}{number:028x}" for number in range(EVENTS_A_ROUND)]
    commands = [noted(person, EmploymentNoted(person_id=person)) for person in people]

    async def append_singly() -> None:
        await sender.store.execute_bulk(commands[: EVENTS_A_ROUND // 2])

    async def append_pages() -> None:
        for start in range(EVENTS_A_ROUND // 2, EVENTS_A_ROUND, 500):
            await sender.store.execute_page(Page(commands[start : start + 500], keyed=False))

    after = await sender.log.head()
    await measured.take("writer, bulk", EVENTS_A_ROUND // 2, append_singly)
    await measured.take("writer, pages", EVENTS_A_ROUND // 2, append_pages)
    await measured.take("relay", EVENTS_A_ROUND, lambda: until_idle(sender.relay.run_once))
    await measured.take("consumer", EVENTS_A_ROUND, lambda: until_idle(receiver.consumer.run_once))
    await measured.take("reaction", EVENTS_A_ROUND, lambda: until_idle(receiver.reaction.run_once))
    assert await sender.log.head() - after == EVENTS_A_ROUND

    decoder, found = msgspec.json.Decoder(Envelope), 0

    async def raw() -> None:
        nonlocal found
        while found < EVENTS_A_ROUND:
            batches: list[Batch] = await reading.poll(500)
            for batch in batches:
                for record in batch.records:
                    decoder.decode(record.value)
                    found += 1

    await measured.take("raw poll and decode", EVENTS_A_ROUND, raw)
    page = await sender.log.read(after, EVENTS_A_ROUND)
    outgoing = (await sender.relay._publications.outgoing(page, sender.database)).records

    async def publish() -> None:
        for start in range(0, len(outgoing), 1000):
            await broker.publish(outgoing[start : start + 1000])

    await measured.take("raw publish", EVENTS_A_ROUND, publish)
    await until_idle(receiver.consumer.run_once)
    assert len(await reading.poll(10**6)) > 0
