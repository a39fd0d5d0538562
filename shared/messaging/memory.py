"""The broker in Python lists: simulation and unit tests. Deterministic: the same calls give the same polls.

Rebalances are eager, as Kafka's classic protocol is: when the membership changes, every member hands back
all it has at its next poll and gets its new share. A member that does not poll keeps believing in its old
share, exactly like a frozen worker, until the fence in the database teaches it otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from shared.contracts.topics import Topic
from shared.kernel.clock import Runtime
from shared.messaging.broker import (
    Batch,
    BrokerUnavailableError,
    Listener,
    Outgoing,
    Partition,
    PublishRejectedError,
    Record,
    Subscription,
    assign,
    refuse_too_large,
)


class MemoryBroker:
    """See broker.Broker. ``available = False`` makes every call fail as an absent broker does."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.records: dict[Partition, list[Record]] = {}
        self.committed: dict[tuple[str, Partition], int] = {}
        self.available = True
        self._topics: dict[str, int] = {}
        self._next: dict[Partition, int] = {}
        self._groups: dict[str, _Group] = {}
        self._arrived = asyncio.Event()

    def copied(self, runtime: Runtime) -> MemoryBroker:
        """Another broker that holds the same records and offsets; nobody has joined a group of it."""
        copy = MemoryBroker(runtime)
        copy.records = {partition: list(records) for partition, records in self.records.items()}
        copy.committed, copy._topics, copy._next = dict(self.committed), dict(self._topics), dict(self._next)
        return copy

    async def start(self) -> None:
        """See Broker.start."""

    async def stop(self) -> None:
        """See Broker.stop."""

    def require(self) -> None:
        """Raises BrokerUnavailableError while the broker is away."""
        if not self.available:
            raise BrokerUnavailableError("the broker is away")

    async def create_topics(self, topics: Iterable[Topic]) -> None:
        """See Broker.create_topics."""
        self.require()
        for topic in topics:
            if topic.name not in self._topics:
                self._topics[topic.name] = topic.partitions
                for part in range(topic.partitions):
                    self.records[Partition(topic.name, part)] = []
        for group in self._groups.values():
            group.rebalance(self._topics)

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See Broker.publish."""
        self.require()
        refuse_too_large(batch)
        if any(Partition(record.topic, record.part) not in self.records for record in batch):
            raise PublishRejectedError("unknown topic or partition")
        now = self._runtime.timestamp()
        for record in batch:
            partition = Partition(record.topic, record.part)
            offset = self._next.get(partition, 0)
            self._next[partition] = offset + 1
            self.records[partition].append(Record(offset, record.key, record.value, record.headers, now))
        self._arrived.set()

    def skip_offsets(self, partition: Partition, count: int) -> None:
        """Leave a gap in a partition's offsets, as aborted batches do."""
        self._next[partition] = self._next.get(partition, 0) + count

    def forget(self, partition: Partition, before: int) -> None:
        """Retention: records before an offset are gone."""
        self.records[partition] = [record for record in self.records[partition] if record.offset >= before]

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        """See Broker.subscribe."""
        self.require()
        membership = self._groups.setdefault(group, _Group())
        subscription = MemorySubscription(self, group, membership, worker, tuple(topics), listener)
        membership.members[worker] = tuple(topics)
        membership.rebalance(self._topics)
        return subscription

    async def bounds(self, topics: Sequence[str]) -> Mapping[Partition, tuple[int, int]]:
        """See Broker.bounds."""
        self.require()
        return {
            partition: self.bound(partition)
            for partition in sorted(self.records)
            if partition.topic in topics
        }

    def bound(self, partition: Partition) -> tuple[int, int]:
        """(first offset kept, next offset) of one partition."""
        end = self._next.get(partition, 0)
        kept = self.records[partition]
        return (kept[0].offset if kept else end), end

    async def arrival(self, seconds: float) -> None:
        """Wait for a publish, at most so long."""
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()

    def evict(self, group: str, worker: str) -> None:
        """The group's coordinator lost patience with a worker; the worker does not know yet."""
        membership = self._groups[group]
        membership.members.pop(worker, None)
        membership.rebalance(self._topics)


def _offset(record: Record) -> int:
    return record.offset


class _Group:
    """A consumer group's membership. Every change starts a generation."""

    def __init__(self) -> None:
        self.members: dict[str, tuple[str, ...]] = {}
        self.generation = 0
        self.shares: dict[str, frozenset[Partition]] = {}

    def rebalance(self, topics: Mapping[str, int]) -> None:
        self.generation += 1
        self.shares = assign(sorted(self.members.items()), topics)


class MemorySubscription:
    """See broker.Subscription."""

    def __init__(
        self,
        broker: MemoryBroker,
        group: str,
        membership: _Group,
        worker: str,
        topics: tuple[str, ...],
        listener: Listener,
    ) -> None:
        self._broker = broker
        self._group = group
        self._membership = membership
        self._worker = worker
        self._topics = topics
        self._listener = listener
        self._generation = -1
        self._assigned: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}

    async def poll(self, max_records: int, wait_seconds: float = 0.0) -> list[Batch]:
        """See Subscription.poll. Records come partition by partition, in the partitions' order."""
        self._broker.require()
        await self._join()
        batches = self._take(max_records)
        if not batches and wait_seconds:
            await self._broker.arrival(wait_seconds)
            await self._join()
            batches = self._take(max_records)
        return batches

    async def _join(self) -> None:
        if self._worker not in self._membership.members:
            self._membership.members[self._worker] = self._topics
            self._membership.rebalance(self._broker._topics)
        if self._generation == self._membership.generation:
            return
        self._generation = self._membership.generation
        share = self._membership.shares.get(self._worker, frozenset())
        before, self._assigned = self._assigned, frozenset()
        self._positions.clear()
        if before:
            await self._listener.on_revoked(sorted(before))
        self._assigned = share
        for partition in share:
            self._positions[partition] = self._broker.bound(partition)[0]
        await self._listener.on_assigned(sorted(share))

    def _take(self, max_records: int) -> list[Batch]:
        batches: list[Batch] = []
        left = max_records
        for partition in sorted(self._positions):
            start = self._positions[partition]
            log = self._broker.records[partition]
            place = bisect_left(log, start, key=_offset)
            records = tuple(log[place : place + left])
            if records:
                batches.append(Batch(partition, records))
                self._positions[partition] = records[-1].offset + 1
                left -= len(records)
            if not left:
                break
        return batches

    def assignment(self) -> frozenset[Partition]:
        """See Subscription.assignment."""
        return self._assigned

    async def seek(self, partition: Partition, offset: int) -> None:
        """See Subscription.seek."""
        if partition in self._positions:
            self._positions[partition] = offset

    async def bounds(self) -> Mapping[Partition, tuple[int, int]]:
        """See Subscription.bounds."""
        self._broker.require()
        return {partition: self._broker.bound(partition) for partition in sorted(self._assigned)}

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Subscription.commit."""
        self._broker.require()
        self._broker.committed.update({(self._group, p): offset for p, offset in offsets.items()})

    async def close(self) -> None:
        """See Subscription.close."""
        if self._assigned:
            revoked, self._assigned = sorted(self._assigned), frozenset()
            self._positions.clear()
            with contextlib.suppress(Exception):
                await self._listener.on_revoked(revoked)
        if self._membership.members.pop(self._worker, None) is not None:
            self._membership.rebalance(self._broker._topics)
