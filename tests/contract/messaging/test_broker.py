"""What every broker adapter must do (architecture §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from deploy.local.processes import until
from shared.messaging.broker import (
    MAX_RECORD_BYTES,
    Batch,
    Outgoing,
    Partition,
    PublishRejectedError,
    Record,
    RecordTooLargeError,
    Subscription,
    record_size,
)
from shared.messaging.partitioner import partition_of
from tests.contract.messaging.conftest import Cluster


class Recorder:
    """A listener that keeps what it was told."""

    def __init__(self) -> None:
        self.assigned: list[list[Partition]] = []
        self.revoked: list[list[Partition]] = []

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        self.revoked.append(list(partitions))

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        self.assigned.append(list(partitions))


def out(topic: str, key: str, value: bytes, partitions: int = 3) -> Outgoing:
    return Outgoing(topic, key, partition_of(key, partitions), (("trace", b"t1"),), value)


async def drain(subscription: Subscription, count: int) -> dict[Partition, list[Record]]:
    """Poll until ``count`` records have come."""
    got: dict[Partition, list[Record]] = {}
    async with asyncio.timeout(90):
        while sum(map(len, got.values())) < count:
            for batch in await subscription.poll(100, 0.2):
                got.setdefault(batch.partition, []).extend(batch.records)
    return got


async def test_records_keep_their_order_within_a_partition_and_all_they_carry(cluster: Cluster) -> None:
    """Given records of many keys, then each partition has them in order of publishing, unchanged."""
    topic = await cluster.topic()
    broker = cluster.connect()
    sent = [out(topic.name, f"k{i % 7}", str(i).encode()) for i in range(200)]
    for start in range(0, 200, 50):
        await broker.publish(sent[start : start + 50])
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    got = await drain(subscription, 200)
    await subscription.close()
    for partition, records in got.items():
        expected = [record for record in sent if record.part == partition.part]
        assert [record.value for record in records] == [record.value for record in expected]
        assert [record.key for record in records] == [record.key for record in expected]
        assert [record.offset for record in records] == list(range(len(expected)))
        assert {record.headers for record in records} == {(("trace", b"t1"),)}
        assert all(record.timestamp > 1_500_000_000 for record in records)


async def test_a_publish_larger_than_a_producer_batch_arrives_whole_and_in_order(cluster: Cluster) -> None:
    """A full batch (``append`` answers None) is closed and the next one opened: no record is dropped."""
    topic = await cluster.topic(1)
    broker = cluster.connect()
    sent = [out(topic.name, "k", bytes([i]) * 300_000, 1) for i in range(12)]
    await broker.publish(sent)
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    got = await drain(subscription, 12)
    await subscription.close()
    assert [record.value[:1] for record in got[Partition(topic.name, 0)]] == [bytes([i]) for i in range(12)]


async def test_a_record_too_large_is_refused_before_anything_is_sent(cluster: Cluster) -> None:
    """All adapters draw the line at the same byte; the neighbours of a refused record are not sent either."""
    topic = await cluster.topic(1)
    broker = cluster.connect()
    frame = record_size(out(topic.name, "k", b"", 1))
    small, large = (b"x" * (MAX_RECORD_BYTES - frame + extra) for extra in (0, 1))
    with pytest.raises(RecordTooLargeError) as refused:
        await broker.publish([out(topic.name, "k", b"a", 1), out(topic.name, "k", large, 1)])
    assert refused.value.indexes == (1,)
    assert await broker.bounds([topic.name]) == {Partition(topic.name, 0): (0, 0)}
    await broker.publish([out(topic.name, "k", small, 1)])
    assert await broker.bounds([topic.name]) == {Partition(topic.name, 0): (0, 1)}


async def test_after_a_refused_publish_the_next_one_works(cluster: Cluster) -> None:
    """An unknown partition is refused; the same broker object goes on in order."""
    topic = await cluster.topic(1)
    broker = cluster.connect()
    await broker.publish([out(topic.name, "k", b"1", 1)])
    if cluster.name != "kafka":  # a Kafka client waits for the partition's metadata instead
        with pytest.raises(PublishRejectedError):
            await broker.publish([Outgoing(topic.name, "k", 7, (), b"x")])
    await broker.publish([out(topic.name, "k", b"2", 1)])
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    got = await drain(subscription, 2)
    await subscription.close()
    assert [record.value for record in got[Partition(topic.name, 0)]] == [b"1", b"2"]


async def test_seeking_back_delivers_again(cluster: Cluster) -> None:
    """Redelivery: what was polled once comes again from the offset sought."""
    topic = await cluster.topic(1)
    broker = cluster.connect()
    await broker.publish([out(topic.name, "k", str(i).encode(), 1) for i in range(10)])
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    await drain(subscription, 10)
    await subscription.seek(Partition(topic.name, 0), 4)
    got = await drain(subscription, 6)
    await subscription.close()
    assert [record.offset for record in got[Partition(topic.name, 0)]] == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("idle", [False, True])
async def test_seeking_behind_a_full_page_goes_on_from_there(cluster: Cluster, idle: bool) -> None:
    """Whatever the adapter had in hand of the partition is not what comes next."""
    topic = await cluster.topic(1)
    partition = Partition(topic.name, 0)
    broker = cluster.connect()
    await broker.publish([out(topic.name, "k", str(i).encode(), 1) for i in range(20)])
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    got: list[int] = []
    async with asyncio.timeout(90):
        while len(got) < 6:
            got += [record.offset for batch in await subscription.poll(3, 0.2) for record in batch.records]
        if idle:
            await subscription.bounds()
        await subscription.seek(partition, 2)
        while len(got) < 6 + 18:
            got += [record.offset for batch in await subscription.poll(3, 0.2) for record in batch.records]
    await subscription.close()
    assert got == [*range(6), *range(2, 20)]


async def test_polling_answers_no_more_than_asked_and_one_batch_per_partition(cluster: Cluster) -> None:
    topic = await cluster.topic()
    broker = cluster.connect()
    await broker.publish([out(topic.name, f"k{i}", b"v") for i in range(60)])
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    seen = 0
    async with asyncio.timeout(90):
        while seen < 60:
            batches: list[Batch] = await subscription.poll(7, 0.2)
            assert sum(len(batch.records) for batch in batches) <= 7
            assert len({batch.partition for batch in batches}) == len(batches)
            seen += sum(len(batch.records) for batch in batches)
    await subscription.close()


async def test_a_group_shares_partitions_and_gets_them_back(cluster: Cluster) -> None:
    """Two workers share; when one leaves, the other has everything. No partition has two owners at rest."""
    topic = await cluster.topic(4)
    first, second = Recorder(), Recorder()
    one = await cluster.connect().subscribe("g", [topic.name], "w1", first)
    every = {Partition(topic.name, part) for part in range(4)}

    async def one_has_all() -> bool:
        await one.poll(10)
        return one.assignment() == every

    assert await until(one_has_all, seconds=90)
    two = await cluster.connect().subscribe("g", [topic.name], "w2", second)

    async def shared() -> bool:
        await one.poll(10)
        await two.poll(10)
        return len(one.assignment()) == 2 and one.assignment() | two.assignment() == every

    assert await until(shared, seconds=90)
    assert set(first.revoked[-1]) == every
    await two.close()
    assert await until(one_has_all, seconds=90)
    await one.close()


async def test_bounds_and_gaps(cluster: Cluster) -> None:
    """A hole in the offsets is passed over; what lies behind it keeps its own offset."""
    topic = await cluster.topic(1)
    broker = cluster.connect()
    at = Partition(topic.name, 0)
    await broker.publish([out(topic.name, "k", b"1", 1)])
    await cluster.gap(at)
    await broker.publish([out(topic.name, "k", b"2", 1)])
    first, end = (await broker.bounds([topic.name]))[at]
    recorder = Recorder()
    subscription = await broker.subscribe("g", [topic.name], "w1", recorder)
    got = await drain(subscription, 2)
    while got[at][-1].value != b"2":
        got[at] += (await drain(subscription, 1))[at]
    assert (await subscription.bounds())[at] == (first, end)
    await subscription.close()
    offsets = [record.offset for record in got[at]]
    assert offsets[0] == first == 0
    assert offsets[-1] == end - 1
    assert end > len(offsets)


async def test_creating_topics_again_changes_nothing(cluster: Cluster) -> None:
    topic = await cluster.topic(2)
    broker = cluster.connect()
    await broker.publish([out(topic.name, "k", b"1", 2)])
    await broker.create_topics([topic])
    assert sum(end for _, end in (await broker.bounds([topic.name])).values()) == 1


async def test_committed_offsets_are_no_starting_point(cluster: Cluster) -> None:
    """Offsets are told to the broker for its lag tools; a new worker starts where its own database says."""
    topic = await cluster.topic(1)
    broker = cluster.connect()
    at = Partition(topic.name, 0)
    await broker.publish([out(topic.name, "k", str(i).encode(), 1) for i in range(5)])
    subscription = await broker.subscribe("g", [topic.name], "w1", Recorder())
    await drain(subscription, 5)
    await subscription.commit({at: 5})
    await subscription.close()
    again = await broker.subscribe("g", [topic.name], "w1", Recorder())

    async def assigned() -> bool:
        await again.poll(10)
        return at in again.assignment()

    assert await until(assigned, seconds=90)
    await again.seek(at, 2)
    got = await drain(again, 3)
    await again.close()
    assert [record.offset for record in got[at]] == [2, 3, 4]
