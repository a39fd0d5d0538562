"""A broker that does everything a broker may do, as unpleasantly as it may: tests and simulation.

Wraps any adapter. Partitions come interleaved and cut at odd places, pages come again, acknowledgements get
lost, and rebalances strike while a page is in hand. What it never does: change the order in a partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shared.contracts.topics import Topic
from shared.kernel.clock import Runtime
from shared.messaging.broker import (
    Batch,
    Broker,
    BrokerUnavailableError,
    Listener,
    Outgoing,
    Partition,
    Subscription,
)


class Dice:
    """Chances out of the runtime's randomness, so that a seed replays them."""

    def __init__(self, runtime: Runtime, one_in: int) -> None:
        self._runtime = runtime
        self._one_in = one_in
        self.calm = False

    def strikes(self) -> bool:
        """True once in ``one_in`` times, never while calm."""
        return not self.calm and self.below(self._one_in) == 0

    def below(self, limit: int) -> int:
        """0 ≤ number < limit."""
        return int.from_bytes(self._runtime.random_bytes(4), "big") % limit


class AdversarialBroker:
    """See the module. ``calm()`` ends the faults, so that a test can wait until everything has arrived."""

    def __init__(self, inner: Broker, runtime: Runtime, one_in: int = 3) -> None:
        self._inner = inner
        self._dice = Dice(runtime, one_in)

    def calm(self) -> None:
        """From now on behave."""
        self._dice.calm = True

    async def start(self) -> None:
        """See Broker.start."""
        await self._inner.start()

    async def stop(self) -> None:
        """See Broker.stop."""
        await self._inner.stop()

    async def create_topics(self, topics: Iterable[Topic]) -> None:
        """See Broker.create_topics."""
        await self._inner.create_topics(topics)

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See Broker.publish. Sometimes only a beginning arrives, sometimes all but the acknowledgement."""
        if batch and self._dice.strikes():
            await self._inner.publish(batch[: self._dice.below(len(batch) + 1)])
            raise BrokerUnavailableError("the acknowledgement got lost")
        await self._inner.publish(batch)

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        """See Broker.subscribe."""
        inner = await self._inner.subscribe(group, topics, worker, listener)
        return _AdversarialSubscription(inner, listener, self._dice)

    async def bounds(self, topics: Sequence[str]) -> Mapping[Partition, tuple[int, int]]:
        """See Broker.bounds."""
        return await self._inner.bounds(topics)


class _AdversarialSubscription:
    """See broker.Subscription."""

    def __init__(self, inner: Subscription, listener: Listener, dice: Dice) -> None:
        self._inner = inner
        self._listener = listener
        self._dice = dice

    async def poll(self, max_records: int, wait_seconds: float = 0.0) -> list[Batch]:
        """Cut, shuffled, repeated; and a rebalance between the poll and its answer."""
        batches = await self._inner.poll(max_records, wait_seconds)
        kept = [cut for batch in batches if (cut := await self._cut(batch)) is not None]
        for place in range(len(kept) - 1, 0, -1):
            other = self._dice.below(place + 1)
            kept[place], kept[other] = kept[other], kept[place]
        if kept and self._dice.strikes():
            ours = sorted(self._inner.assignment())
            await self._listener.on_revoked(ours)
            await self._listener.on_assigned(ours)
        return kept

    async def _cut(self, batch: Batch) -> Batch | None:
        """The batch, its beginning, or nothing now; what is missing comes later, in order."""
        if self._dice.strikes():
            count = self._dice.below(len(batch.records) + 1)
            await self._inner.seek(
                batch.partition,
                batch.records[count].offset if count < len(batch.records) else batch.next_offset,
            )
            return Batch(batch.partition, batch.records[:count]) if count else None
        if self._dice.strikes():
            await self._inner.seek(batch.partition, batch.first_offset)  # the page comes again
        return batch

    def assignment(self) -> frozenset[Partition]:
        """See Subscription.assignment."""
        return self._inner.assignment()

    async def seek(self, partition: Partition, offset: int) -> None:
        """See Subscription.seek."""
        await self._inner.seek(partition, offset)

    async def bounds(self) -> Mapping[Partition, tuple[int, int]]:
        """See Subscription.bounds."""
        return await self._inner.bounds()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Subscription.commit."""
        await self._inner.commit(offsets)

    async def close(self) -> None:
        """See Subscription.close."""
        await self._inner.close()
