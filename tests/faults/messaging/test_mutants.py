"""The rules that keep facts, each broken on purpose: the detector must see the loss or the repeat.

Without these, a green suite would not tell whether it could ever be red.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.eventstore.commands import Page
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.messaging import fence, page
from shared.messaging.broker import BrokerUnavailableError, Outgoing, Partition
from shared.messaging.consumer import Consumer
from shared.messaging.cursor import move_cursor
from shared.messaging.intake import Intake
from shared.messaging.memory import MemoryBroker
from shared.messaging.relay import CURSOR, Relay
from shared.testing.messaging import Network, connect
from shared.testing.store import MemoryParts
from tests.unit.messaging.samples import (
    MESSAGES,
    EmploymentNoted,
    RecordingUnsealer,
    note,
    received,
    sink_parts,
    source,
    source_parts,
)

COUNT = 30


async def verdict(parts: MemoryParts, count: int = COUNT) -> str:
    """The detector: ``lost``, ``repeated``, or ``exactly once``."""
    seen = Counter(int(fact.metadata.extra["sequence"]) for fact in await received(parts))
    if set(seen) != set(range(1, count + 1)):
        return "lost"
    return "repeated" if max(seen.values()) > 1 else "exactly once"


class Interrupted(BaseException):
    """kill -9: nothing of the interrupted code runs on."""


# -- the relay ----------------------------------------------------------------------------------------


class CursorBeforeAcks(Relay):
    """Mutant: moves the cursor, then publishes."""

    async def _publish_page(self, cursor: int, to: int, page: Sequence[Recorded[Any]]) -> None:
        async with self._database.begin() as connection:
            await move_cursor(connection, CURSOR, cursor, to)
        self._cursor = to
        outbound = await self._publications.outgoing(page, self._database)
        await self._broker.publish(outbound.records)


class LosesFirst(MemoryBroker):
    """The first publish never arrives."""

    lost = False

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        if batch and not self.lost:
            self.lost = True
            raise BrokerUnavailableError("gone")
        await super().publish(batch)


@pytest.mark.parametrize(("relay_class", "expected"), [(Relay, "exactly once"), (CursorBeforeAcks, "lost")])
async def test_the_cursor_moves_after_the_acknowledgements(relay_class: type[Relay], expected: str) -> None:
    async with source_parts() as left, sink_parts() as right:
        broker = LosesFirst(left.runtime)
        network = await connect([source(left)], broker)
        good = network.services["registration"].relay
        relay = relay_class(
            log=left.log,
            broker=broker,
            publications=good._publications,
            leadership=good._leadership,
            clock=left.clock,
            runtime=left.runtime,
            page_size=10,
        )
        await note(left, *[EmploymentNoted(person_id=f"p{i % 5}") for i in range(COUNT)])
        while True:
            try:
                if not await relay.run_once():
                    break
            except BrokerUnavailableError:
                continue
        consumer = make(Consumer, right, broker, "w1")
        while await consumer.run_once():
            pass
        assert await verdict(right) == expected


# -- the consumer -------------------------------------------------------------------------------------


def make(kind: type[Consumer], parts: MemoryParts, broker: Any, worker: str, store: Any = None) -> Consumer:
    return kind(
        group="subsidy",
        worker=worker,
        broker=broker,
        store=store or parts.store,
        database=parts.database,
        intake=Intake(parts.types, MESSAGES, RecordingUnsealer("subsidy")),
        clock=parts.clock,
        runtime=parts.runtime,
        page_size=10,
        reclaim_seconds=0.0,
    )


class DiesBetween:
    """A store that dies once: before the page's commit, or after it."""

    def __init__(self, parts: MemoryParts, *, after: bool) -> None:
        self._store = parts.store
        self._after = after
        self.died = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def execute_page(self, page: Page) -> Any:
        if self.died:
            return await self._store.execute_page(page)
        self.died = True
        if self._after:
            await self._store.execute_page(page)
        raise Interrupted


class OffsetBeforeEffect(DiesBetween):
    """Mutant: commits offset and watermark first, the facts afterwards."""

    async def execute_page(self, page: Page) -> Any:
        await self._store.execute_page(Page((), page.effects))
        return await super().execute_page(Page((), None, page.blind))


class EffectBeforeOffset(DiesBetween):
    """Mutant: commits the facts first, offset and watermark afterwards."""

    async def execute_page(self, page: Page) -> Any:
        await self._store.execute_page(Page((), None, page.blind))
        return await super().execute_page(Page((), page.effects))


async def filled(left: MemoryParts, broker: MemoryBroker, count: int = COUNT) -> Network:
    network = await connect([source(left)], broker)
    await note(left, *[EmploymentNoted(person_id=f"p{i % 5}") for i in range(count)])
    await network.settle_all()
    return network


@pytest.mark.parametrize(
    ("store", "after", "expected"),
    [
        (DiesBetween, False, "exactly once"),
        (DiesBetween, True, "exactly once"),
        (OffsetBeforeEffect, False, "lost"),
        (EffectBeforeOffset, False, "repeated"),
    ],
)
async def test_offset_and_effect_are_one_transaction(
    store: type[DiesBetween], after: bool, expected: str
) -> None:
    """Given the worker dies around a commit and another goes on, then only one transaction keeps every fact."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        await filled(left, broker)
        dying = make(Consumer, right, broker, "w1", store(right, after=after))
        with pytest.raises(Interrupted):
            await dying.run_once()
        broker.evict("subsidy", "w1")
        survivor = make(Consumer, right, broker, "w2")
        while await survivor.run_once():
            pass
        assert await verdict(right) == expected


class Sleeper:
    """A store that sleeps through a rebalance with a page in hand: meanwhile another worker books all."""

    def __init__(self, parts: MemoryParts) -> None:
        self._store = parts.store
        self.meanwhile: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def execute_page(self, page: Page) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await self._store.execute_page(page)


async def _no_compare(
    connection: Connection,
    group: str,
    moves: Mapping[Partition, fence.Move],
    marks: Mapping[Partition, fence.Marks],
) -> frozenset[Partition]:
    """Mutant: sets the offsets whoever owns them and wherever they stand."""
    for partition, step in moves.items():
        await fence.reset_offset(connection, group, partition, step.to)
    await fence.write_marks(connection, group, marks)
    return frozenset()


@pytest.mark.parametrize(("fenced", "expected"), [(True, "exactly once"), (False, "repeated")])
async def test_the_fence_stops_a_zombie(fenced: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker sleeps with a page in hand; another takes over and books it; the first one wakes."""
    if not fenced:
        monkeypatch.setattr(fence, "move", _no_compare)
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        await filled(left, broker)
        store = Sleeper(right)
        zombie = make(Consumer, right, broker, "w1", store)
        healthy = make(Consumer, right, broker, "w2")

        async def take_over() -> None:
            broker.evict("subsidy", "w1")
            while await healthy.run_once():
                pass

        store.meanwhile = take_over
        await zombie.run_once()
        for _ in range(10):
            await zombie.run_once()
            await healthy.run_once()
        assert await verdict(right) == expected


def _no_watermark(*_: object) -> str:
    """Mutant: takes everything for news."""
    return ""


@pytest.mark.parametrize(("watermark", "expected"), [(True, "exactly once"), (False, "repeated")])
async def test_the_watermark_skips_what_a_relay_published_twice(
    watermark: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 between publish and cursor: the page comes again, behind what the partition has had."""
    if not watermark:
        monkeypatch.setattr(page, "_repeated", _no_watermark)
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await filled(left, broker)
        await network.services["registration"].relay.resend(1, COUNT // 2)
        consumer = make(Consumer, right, broker, "w1")
        while await consumer.run_once():
            pass
        assert await verdict(right) == expected
