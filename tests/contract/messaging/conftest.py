"""One broker suite, three adapters: memory, embedded (PostgreSQL) and Kafka."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.processes import until
from shared.contracts.topics import Topic
from shared.kernel.clock import SeededRuntime, SystemRuntime
from shared.messaging.broker import Broker, Partition
from shared.messaging.embedded import EmbeddedBroker, prepare
from shared.messaging.kafka import KafkaBroker
from shared.messaging.memory import MemoryBroker

_numbers = itertools.count(1)


@dataclass
class Cluster:
    """A broker under test. client: one more process' view of it. gap: leave a hole in a partition's offsets."""

    name: str
    client: Callable[[], Broker]
    gap: Callable[[Partition], Awaitable[None]]
    clients: list[Broker] = field(default_factory=list)

    def connect(self) -> Broker:
        broker = self.client()
        self.clients.append(broker)
        return broker

    async def topic(self, partitions: int = 3) -> Topic:
        """A fresh topic."""
        topic = Topic("contract", f"t{os.getpid()}-{next(_numbers)}", "key", partitions=partitions)
        await self.connect().create_topics([topic])
        return topic


def _memory() -> Cluster:
    broker = MemoryBroker(SeededRuntime(1))

    async def gap(partition: Partition) -> None:
        broker.skip_offsets(partition, 1)

    return Cluster("memory", lambda: broker, gap)


def _embedded(dsn: str) -> Cluster:
    async def gap(partition: Partition) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "UPDATE broker.partitions SET next_offset = next_offset + 1 WHERE topic = $1 AND part = $2",
            *partition,
        )
        await connection.close()

    return Cluster("embedded", lambda: EmbeddedBroker(dsn, SystemRuntime()), gap)


def _kafka(bootstrap: str) -> Cluster:
    async def gap(partition: Partition) -> None:
        """A transaction's end marker takes an offset, and no consumer sees it."""
        inspector = KafkaBroker(bootstrap, SystemRuntime())
        before = (await inspector.bounds([partition.topic]))[partition][1]
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, transactional_id=f"gap-{next(_numbers)}", acks="all"
        )
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait(partition.topic, b"{}", key=b"gap", partition=partition.part)
        await producer.stop()

        async def marked() -> bool:  # the marker is written after the commit was answered
            return (await inspector.bounds([partition.topic]))[partition][1] == before + 2

        assert await until(marked, seconds=10)
        await inspector.stop()

    return Cluster("kafka", lambda: KafkaBroker(bootstrap, SystemRuntime()), gap)


@pytest.fixture(params=["memory", "embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    if request.param == "memory":
        made = _memory()
    elif request.param == "embedded":
        made = _embedded(request.getfixturevalue("database_factory")(prepare))
    else:
        made = _kafka(request.getfixturevalue("kafka").bootstrap)
    yield made
    for client in made.clients:
        with contextlib.suppress(Exception):
            await client.stop()
