"""Relay and consumer over every broker adapter: exactly once into the log, whatever the group does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from deploy.local.processes import until
from shared.contracts.topics import VITAL
from shared.eventstore.commands import Outcome, Page
from shared.kernel.clock import SystemRuntime
from shared.messaging.address import LogIdentity
from shared.messaging.adversary import AdversarialBroker
from shared.messaging.broker import (
    Broker,
    BrokerUnavailableError,
    Listener,
    Outgoing,
    Partition,
    Subscription,
)
from shared.messaging.consumer import Consumer
from shared.messaging.fence import reset_offset
from shared.messaging.intake import Intake
from shared.messaging.leadership import SoleLeadership
from shared.messaging.publication import Publications
from shared.messaging.relay import Relay
from shared.testing.store import MemoryParts
from tests.contract.messaging.conftest import Cluster
from tests.unit.messaging.samples import (
    MESSAGES,
    EmploymentNoted,
    EmploymentPublication,
    PeoplePublication,
    RecordingSealer,
    RecordingUnsealer,
    note,
    received,
    sink_parts,
    source_parts,
)

COUNT = 120


class Relaid:
    """What one publish handed to the broker, kept so that it can be published again."""

    def __init__(self, inner: Broker) -> None:
        self.inner = inner
        self.batches: list[list[Outgoing]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        self.batches.append(list(batch))
        await self.inner.publish(batch)


class DeafListener:
    """Hears of its first assignment and of nothing later: what a frozen process has heard."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.deaf = False

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        if not self.deaf:
            await self._listener.on_revoked(partitions)

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        if not self.deaf:
            await self._listener.on_assigned(partitions)


class DeafBroker:
    """Gives its subscriber a DeafListener."""

    def __init__(self, inner: Broker) -> None:
        self._inner = inner
        self.listener: DeafListener | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        self.listener = DeafListener(listener)
        return await self._inner.subscribe(group, topics, worker, self.listener)


class HeldStore:
    """Pages wait at a gate before they are written."""

    def __init__(self, parts: MemoryParts) -> None:
        self._store = parts.store
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.errors: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def execute_page(self, page: Page) -> list[Outcome]:
        self.waiting.set()
        await self.gate.wait()
        try:
            return await self._store.execute_page(page)
        except Exception as error:
            self.errors.append(type(error).__name__)
            raise


def consumer(parts: MemoryParts, broker: Any, worker: str, group: str, store: Any = None) -> Consumer:
    return Consumer(
        group=group,
        worker=worker,
        broker=broker,
        store=store or parts.store,
        database=parts.database,
        intake=Intake(parts.types, MESSAGES, RecordingUnsealer("subsidy")),
        clock=parts.clock,
        runtime=SystemRuntime(),
        page_size=50,
        reclaim_seconds=0.2,
    )


def relay(parts: MemoryParts, broker: Any) -> Relay:
    publications = Publications(
        LogIdentity("registration"), [EmploymentPublication(), PeoplePublication()], RecordingSealer()
    )
    return Relay(
        log=parts.log,
        broker=broker,
        publications=publications,
        leadership=SoleLeadership(),
        clock=parts.clock,
        runtime=parts.runtime,
        page_size=40,
    )


async def fill(parts: MemoryParts, count: int = COUNT) -> None:
    await note(parts, *[EmploymentNoted(person_id=f"p{i % 17}") for i in range(count)])


async def publish_all(parts: MemoryParts, broker: Any) -> None:
    relaying = relay(parts, broker)
    while await relaying.run_once():
        pass


@pytest.fixture
async def group(cluster: Cluster) -> str:
    """Kafka and its topics outlive a test: a group of its own, and only what this test publishes."""
    await cluster.connect().create_topics([VITAL, *{message.topic for message in MESSAGES}])
    return f"g-{id(cluster)}"


async def skip_the_past(cluster: Cluster, parts: MemoryParts, group: str) -> None:
    """A shared broker holds other tests' records: begin behind them."""
    topics = sorted({message.topic.name for message in MESSAGES})
    bounds = await cluster.connect().bounds(topics)
    async with parts.database.begin() as connection:
        for partition, (_, end) in bounds.items():
            await reset_offset(connection, group, partition, end)


def places(facts: Sequence[Any]) -> list[tuple[str, int]]:
    return sorted((fact.metadata.extra["source"], int(fact.metadata.extra["sequence"])) for fact in facts)


def assert_exactly_once(facts: Sequence[Any], count: int = COUNT) -> None:
    """Every fact once, and in order per person."""
    assert [sequence for _, sequence in places(facts)] == list(range(1, count + 1))
    by_person: dict[str, list[int]] = {}
    for fact in facts:
        by_person.setdefault(fact.event.person_id, []).append(int(fact.metadata.extra["sequence"]))
    assert all(sequence == sorted(sequence) for sequence in by_person.values())


async def consume_until(parts: MemoryParts, count: int, *consumers: Consumer) -> None:
    async def all_there() -> bool:
        for one in consumers:
            await one.run_once(0.05)
        return len(await received(parts)) >= count

    assert await until(all_there, seconds=90, every=0.001)


async def test_a_zombie_with_a_page_in_hand_books_nothing(cluster: Cluster, group: str) -> None:
    """Given a worker froze with a page in hand and another took its partitions, when it wakes, then its page
    is rolled back whole; nothing is lost, nothing is booked twice."""
    async with source_parts() as left, sink_parts() as right:
        await skip_the_past(cluster, right, group)
        await fill(left)
        await publish_all(left, cluster.connect())
        held, deaf = HeldStore(right), DeafBroker(cluster.connect())
        zombie = consumer(right, deaf, "w1", group, held)
        healthy = consumer(right, cluster.connect(), "w2", group)

        async def freeze() -> None:
            while not held.waiting.is_set():
                await zombie.run_once(0.2)

        frozen = SystemRuntime().start(freeze(), "zombie")
        async with asyncio.timeout(30):
            await held.waiting.wait()
        assert deaf.listener is not None
        assert zombie._subscription is not None
        deaf.listener.deaf = True
        await zombie._subscription.close()  # the group has lost patience; the consumer has not heard
        await consume_until(right, COUNT, healthy)
        held.gate.set()
        await frozen
        assert held.errors == ["StaleCheckpointError"]
        await zombie.leave()
        await healthy.leave()
        assert_exactly_once(await received(right))


async def test_pages_published_twice_are_booked_once(cluster: Cluster, group: str) -> None:
    """Repeats lie behind what the partition has had: the watermark skips them."""
    async with source_parts() as left, sink_parts() as right:
        await skip_the_past(cluster, right, group)
        await fill(left)
        broker = Relaid(cluster.connect())
        await publish_all(left, broker)
        await broker.inner.publish(broker.batches[0])
        await broker.inner.publish([record for batch in broker.batches for record in batch])
        booking = consumer(right, cluster.connect(), "w1", group)
        await consume_until(right, COUNT, booking)
        while any((await booking.lag()).values()):
            await booking.run_once(0.05)
        await booking.leave()
        assert_exactly_once(await received(right))


async def test_gaps_in_the_offsets_are_passed_over(cluster: Cluster, group: str) -> None:
    """A hole the broker leaves (an aborted batch, a marker) neither stops nor repeats anything."""
    async with source_parts() as left, sink_parts() as right:
        await fill(left, 30)
        broker = cluster.connect()
        if cluster.name != "kafka":  # there, the gap itself comes with a record that is no message of ours
            await skip_the_past(cluster, right, group)
        relaying = relay(left, broker)
        assert await relaying.run_once() == 30
        for part in range(VITAL.partitions):
            await cluster.gap(Partition(VITAL.name, part))
        if cluster.name == "kafka":
            await skip_the_past(cluster, right, group)
        await note(left, *[EmploymentNoted(person_id=f"p{i % 17}") for i in range(30)])
        await relaying.run_once()
        booking = consumer(right, broker, "w1", group)
        expected = 30 if cluster.name == "kafka" else 60
        await consume_until(right, expected, booking)
        assert not any((await booking.lag()).values())
        await booking.leave()
        facts = await received(right)
        assert len(facts) == len(set(places(facts))) == expected


async def test_an_adversarial_broker_changes_nothing(cluster: Cluster, group: str) -> None:
    """Cut, repeated and shuffled pages, lost acknowledgements, rebalances in mid-page: exactly once."""
    async with source_parts() as left, sink_parts() as right:
        await skip_the_past(cluster, right, group)
        await fill(left)
        hostile = AdversarialBroker(cluster.connect(), left.runtime)
        relaying = relay(left, hostile)

        async def published() -> bool:
            try:
                return await relaying.run_once() == 0
            except BrokerUnavailableError:
                return False

        assert await until(published, seconds=90, every=0)
        one = consumer(right, hostile, "w1", group)
        two = consumer(right, AdversarialBroker(cluster.connect(), right.runtime), "w2", group)
        await consume_until(right, COUNT, one, two)
        hostile.calm()
        await one.leave()
        await two.leave()
        assert_exactly_once(await received(right))


async def test_a_partition_whose_data_the_broker_lost_stops_instead_of_skipping(
    cluster: Cluster, group: str
) -> None:
    """Our offset lies beyond the broker's end: going on would pass over facts in silence (KAFKA trial)."""
    async with source_parts() as left, sink_parts() as right:
        await skip_the_past(cluster, right, group)
        at = Partition(VITAL.name, 0)
        end = (await cluster.connect().bounds([VITAL.name]))[at][1]
        async with right.database.begin() as connection:
            await reset_offset(connection, group, at, end + 1000)
        await fill(left)
        await publish_all(left, cluster.connect())
        booking = consumer(right, cluster.connect(), "w1", group)

        async def stopped() -> bool:
            await booking.run_once(0.05)
            return booking.stopped == {at}

        assert await until(stopped, seconds=90, every=0.001)
        async with right.database.begin() as connection:
            await reset_offset(connection, group, at, end)
        await consume_until(right, COUNT, booking)
        assert booking.stopped == frozenset()
        await booking.leave()
        assert_exactly_once(await received(right))
