"""Pages of a Kafka subscription, one of them made ahead: each record comes once and in order, whatever is sought."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.clock import SeededRuntime
from shared.messaging.broker import Batch, BrokerUnavailableError, Partition
from shared.messaging.kafka import KafkaSubscription

TOPIC = "t"


class Fetched:
    """As much of aiokafka's consumer as a subscription asks for: partitions of so many records, all at hand."""

    def __init__(self, *ends: int) -> None:
        self.ends = ends
        self.positions = [0] * len(ends)
        self.fails = False
        self.asked: list[int] = []

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        self.asked.append(timeout_ms)
        await asyncio.sleep(0)
        if self.fails:
            raise KafkaConnectionError
        found: dict[TopicPartition, list[Any]] = {}
        for partition, end in enumerate(self.ends):
            first = self.positions[partition]
            last = self.positions[partition] = min(end, first + max_records)
            max_records -= last - first
            if last > first:
                found[TopicPartition(TOPIC, partition)] = [record(each) for each in range(first, last)]
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition.partition] = offset

    async def stop(self) -> None:
        return


def record(offset: int) -> Any:
    """Of what aiokafka tells, what a subscription reads."""
    return SimpleNamespace(offset=offset, key=b"k", value=b"", headers=(), timestamp=0)


def offsets(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    return [(batch.partition.part, each.offset) for batch in batches for each in batch.records]


def subscription(*ends: int) -> tuple[KafkaSubscription, Fetched]:
    fetched = Fetched(*ends)
    return KafkaSubscription(fetched, SeededRuntime(1)), fetched


async def test_a_page_is_made_ahead_behind_a_full_one_only() -> None:
    """Without waiting; behind less than a page there is nothing more."""
    ours, fetched = subscription(7)
    assert offsets(await ours.poll(5, 0.2)) == [(0, each) for each in range(5)]
    await asyncio.sleep(0)
    assert fetched.asked == [200, 0]
    assert offsets(await ours.poll(5, 0.2)) == [(0, 5), (0, 6)]
    await asyncio.sleep(0)
    assert fetched.asked == [200, 0]
    assert await ours.poll(5) == []


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_what_is_sought_is_what_comes_next(turns: int) -> None:
    """Given a seek before, while or after the page ahead is made, then the next page starts there, and the other
    partition's records are not lost."""
    ours, _ = subscription(4, 4)
    assert offsets(await ours.poll(2)) == [(0, 0), (0, 1)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await ours.seek(Partition(TOPIC, 0), 1)
    got = [each for _ in range(8) for each in offsets(await ours.poll(2))]
    assert [offset for partition, offset in got if partition == 0] == [1, 2, 3]
    assert [offset for partition, offset in got if partition == 1] == [0, 1, 2, 3]


async def test_a_page_of_another_size_is_made_anew() -> None:
    """No more than was asked for."""
    ours, _ = subscription(10)
    assert len(offsets(await ours.poll(4))) == 4
    await asyncio.sleep(0)
    assert offsets(await ours.poll(3)) == [(0, 4), (0, 5), (0, 6)]


async def test_a_fault_of_the_page_ahead_is_told_at_the_next_poll_and_nothing_is_lost() -> None:
    ours, fetched = subscription(4)
    await ours.poll(2)
    fetched.fails = True
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(BrokerUnavailableError):
        await ours.poll(2)
    fetched.fails = False
    assert offsets(await ours.poll(2)) == [(0, 2), (0, 3)]


@pytest.mark.parametrize("fails", [False, True])
async def test_closing_ends_the_page_ahead(fails: bool) -> None:
    ours, fetched = subscription(4)
    await ours.poll(2)
    fetched.fails = fails
    if fails:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await ours.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("poll"), st.integers(1, 4), st.just(0)),
            st.tuples(st.just("turn"), st.just(0), st.just(0)),
            st.tuples(st.just("seek"), st.integers(0, 2), st.integers(0, 9)),
        ),
        max_size=30,
    )
)
def test_each_partition_goes_on_from_where_it_was_sought_or_read_to(
    steps: list[tuple[str, int, int]],
) -> None:
    """Whatever is done in which order: the next record of a partition is the one behind the last, or the one sought."""

    async def run() -> None:
        ours, _ = subscription(10, 10, 10)
        wanted = [0, 0, 0]
        for what, first, second in [*steps, *[("poll", 3, 0)] * 30]:
            if what == "turn":
                await asyncio.sleep(0)
            elif what == "seek":
                await ours.seek(Partition(TOPIC, first), second)
                wanted[first] = second
            else:
                page = offsets(await ours.poll(first))
                assert len(page) <= first
                for partition, offset in page:
                    assert offset == wanted[partition]
                    wanted[partition] += 1
        assert wanted == [10, 10, 10]
        await ours.close()

    asyncio.run(run())
