"""The consumer: metrics, progress, and what it does when things fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from shared.contracts.topics import VITAL
from shared.eventstore.commands import Outcome, Page
from shared.eventstore.tables import offsets
from shared.messaging.broker import BrokerUnavailableError
from shared.messaging.consumer import Consumer
from shared.messaging.intake import Intake
from shared.messaging.memory import MemoryBroker
from shared.messaging.metrics import NoMetrics
from shared.messaging.worker import ConsumerWorker
from shared.testing.messaging import Network, connect
from shared.testing.store import MemoryParts
from tests.unit.messaging.samples import (
    MESSAGES,
    EmploymentNoted,
    RecordingUnsealer,
    note,
    persons,
    sink,
    sink_parts,
    source,
    source_parts,
)


class Gauges(NoMetrics):
    """Keeps the last value of each."""

    def __init__(self) -> None:
        self.lag: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, float] = {}
        self.progress: dict[str, float] = {}
        self.restarts: list[str] = []
        self.letters: dict[str, int] = {}
        self.waiting: dict[str, int] = {}
        self.skipped: dict[str, int] = {}

    def consumer_lag_messages(self, topic: str, partition: int, messages: int) -> None:
        self.lag[topic, partition] = messages

    def consumer_lag_seconds(self, topic: str, seconds: float) -> None:
        self.seconds[topic] = seconds

    def last_progress_timestamp(self, topic: str, timestamp: float | None) -> None:
        if timestamp is None:
            del self.progress[topic]
        else:
            self.progress[topic] = timestamp

    def consumer_restarted(self, reason: str) -> None:
        self.restarts.append(reason)

    def dead_letters(self, topic: str, count: int) -> None:
        self.letters[topic] = count

    def parked(self, topic: str, count: int) -> None:
        self.waiting[topic] = count

    def messages_skipped(self, topic: str, reason: str, count: int) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + count


class Stubborn:
    """A store whose pages fail as long as ``broken``, or never answer while ``stuck``."""

    def __init__(self, parts: MemoryParts) -> None:
        self._store = parts.store
        self.broken = False
        self.stuck = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def execute_page(self, page: Page) -> list[Outcome]:
        if self.stuck:
            await asyncio.Event().wait()
        if self.broken:
            raise ConnectionError("database away")
        return await self._store.execute_page(page)


def make(parts: MemoryParts, broker: MemoryBroker, store: Any = None, metrics: Any = None) -> Consumer:
    return Consumer(
        group="subsidy",
        worker="w1",
        broker=broker,
        store=store or parts.store,
        database=parts.database,
        intake=Intake(parts.types, MESSAGES, RecordingUnsealer("subsidy")),
        clock=parts.clock,
        runtime=parts.runtime,
        metrics=metrics,
        reclaim_seconds=0.0,
        commit_seconds=0.0,
    )


async def publish(left: MemoryParts, network: Network, *people: str) -> None:
    await note(left, *[EmploymentNoted(person_id=person) for person in people])
    while await network.services["registration"].relay.run_once():
        pass


async def test_lag_is_what_the_broker_has_and_we_have_not_booked() -> None:
    async with source_parts() as left, sink_parts() as right:
        broker, gauges = MemoryBroker(left.runtime), Gauges()
        network = await connect([source(left)], broker)
        consumer = make(right, broker, metrics=gauges)
        await consumer.run_once()
        await publish(left, network, "p1", "p1", "p1")
        at = next(p for p, log in broker.records.items() if log)
        assert (await consumer.lag())[at] == 3
        assert gauges.lag[at] == 3
        await right.runtime.sleep(5)
        await consumer.run_once()
        await publish(left, network, "p1")
        await consumer.lag()
        assert gauges.lag[at] == 1
        assert gauges.seconds[VITAL.name] >= 5
        await consumer.run_once()
        await consumer.lag()
        assert (gauges.lag[at], gauges.seconds[VITAL.name]) == (0, 0.0)
        assert gauges.progress[VITAL.name] == right.runtime.timestamp()
        assert broker.committed["subsidy", at] == 4


async def test_a_failed_page_is_claimed_and_booked_again() -> None:
    """After any error of the database all partitions are forgotten: the commit may have happened."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        store = Stubborn(right)
        consumer = make(right, broker, store)
        await publish(left, network, "p1", "p2")
        store.broken = True
        with pytest.raises(ConnectionError):
            await consumer.run_once()
        store.broken = False
        while await consumer.run_once() or len(await persons(right)) < 2:
            pass
        assert sorted(await persons(right)) == ["p1", "p2"]


async def test_each_claim_has_an_owner_of_its_own() -> None:
    """A worker that claims again is another owner: its own old page is fenced too."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        await connect([source(left)], broker)
        consumer = make(right, broker)
        await consumer.run_once()

        async def owners() -> set[str]:
            async with right.database.read() as connection:
                return {row[0] for row in await connection.execute(sa.select(offsets.c.owner))}

        before = await owners()
        await consumer.leave()
        await consumer.run_once()
        assert len(before) == 1
        assert not before & await owners()


async def test_a_group_that_is_new_starts_at_the_first_record_kept() -> None:
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        await publish(left, network, "p1", "p1", "p1")
        at = next(p for p, log in broker.records.items() if log)
        broker.forget(at, before=2)
        consumer = make(right, broker)
        while await consumer.run_once():
            pass
        assert await persons(right) == ["p1"]


async def test_messages_dropped_unread_stop_the_partition() -> None:
    """Retention passed us by: going on would skip facts in silence."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        await publish(left, network, "p1")
        consumer = make(right, broker)
        await consumer.run_once()
        await consumer.leave()
        await publish(left, network, "p1", "p1")
        at = next(p for p, log in broker.records.items() if log)
        broker.forget(at, before=2)
        for _ in range(5):
            await consumer.run_once()
        assert consumer.stopped == {at}
        assert await persons(right) == ["p1"]


async def test_a_broker_that_is_away_is_an_error_of_the_step() -> None:
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        broker.available = False
        with pytest.raises(BrokerUnavailableError):
            await make(right, broker).run_once()


async def wait_for(parts: MemoryParts, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await persons(parts)) < count:
            await parts.runtime.sleep(0)


async def test_a_consumer_without_progress_is_seen_and_starts_anew() -> None:
    """Given a page that never ends, when messages wait and nothing moves, then metric, restart, and it goes on."""
    async with source_parts() as left, sink_parts() as right:
        broker, gauges = MemoryBroker(left.runtime), Gauges()
        network = await connect([source(left)], broker)
        store = Stubborn(right)
        consumer = make(right, broker, store, gauges)
        worker = ConsumerWorker(consumer, right.runtime, gauges, stall_seconds=3.0, watch_seconds=0.01)
        stop = asyncio.Event()
        running = right.runtime.start(worker.run(stop), "consumer")
        store.stuck = True
        await publish(left, network, "p1")
        async with asyncio.timeout(20):
            while not gauges.restarts:
                await right.runtime.sleep(0.01)
        store.stuck = False
        await wait_for(right, 1)
        stop.set()
        async with asyncio.timeout(20):
            await running
        assert gauges.restarts[0] == "no progress"
        assert await persons(right) == ["p1"]


async def test_a_worker_outlives_the_database() -> None:
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        store = Stubborn(right)
        store.broken = True
        worker = ConsumerWorker(make(right, broker, store), right.runtime)
        stop = asyncio.Event()
        running = right.runtime.start(worker.run(stop), "consumer")
        await publish(left, network, "p1")
        await right.runtime.sleep(0)
        store.broken = False
        await wait_for(right, 1)
        stop.set()
        async with asyncio.timeout(20):
            await running
        assert await persons(right) == ["p1"]


async def test_known_types_that_are_not_taken_are_counted() -> None:
    async with source_parts() as left, sink_parts() as right:
        broker, gauges = MemoryBroker(left.runtime), Gauges()
        network = await connect([source(left)], broker)
        consumer = make(right, broker, metrics=gauges)
        consumer.intake = Intake(right.types, [MESSAGES[3]], RecordingUnsealer("subsidy"))
        await publish(left, network, "p1")
        await consumer.run_once()
        assert gauges.skipped == {"not_taken": 1}
        assert await persons(right) == []


async def test_letters_are_gauges() -> None:
    async with source_parts() as left, sink_parts() as right:
        broker, gauges = MemoryBroker(left.runtime), Gauges()
        network = await connect([source(left), sink(right)], broker)
        consumer = make(right, broker, metrics=gauges)
        await publish(left, network, "p1", "p1")
        for log in broker.records.values():
            if log:
                log[0] = type(log[0])(0, "p1", b"{}", (), 0.0)
        await consumer.run_once()
        assert (gauges.letters[VITAL.name], gauges.waiting[VITAL.name]) == (1, 1)
