"""What only a real Kafka does: refused batches, absent and dying brokers (KAFKA trials, ADR 0030)."""

from __future__ import annotations

import asyncio
import itertools
import os

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.kafka import KafkaServer
from deploy.local.processes import free_port, until
from shared.contracts.topics import VITAL, Topic
from shared.kernel.clock import SystemRuntime
from shared.messaging.broker import BrokerUnavailableError, Outgoing, Partition, PublishRejectedError
from shared.messaging.consumer import Consumer
from shared.messaging.intake import Intake
from shared.messaging.kafka import KafkaBroker
from shared.messaging.partitioner import partition_of
from shared.messaging.worker import ConsumerWorker
from shared.testing.messaging import connect
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

pytestmark = pytest.mark.kafka
_numbers = itertools.count(1)


def out(topic: str, value: bytes, part: int = 0) -> Outgoing:
    return Outgoing(topic, "k", part, (), value)


async def test_after_a_batch_the_broker_refused_the_partition_works_on(kafka: KafkaServer) -> None:
    """The idempotent producer's numbers are spoilt for ever by one refused batch: it is thrown away."""
    name = f"narrow-{os.getpid()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    await admin.close()
    broker = KafkaBroker(kafka.bootstrap, SystemRuntime())
    await broker.publish([out(name, b"first")])
    with pytest.raises(PublishRejectedError):
        await broker.publish([out(name, b"x" * 5000)])
    await broker.publish([out(name, b"second")])
    await broker.publish([out(name, b"third")])
    assert (await broker.bounds([name]))[Partition(name, 0)] == (0, 3)
    await broker.stop()


async def test_a_broker_that_is_not_there_is_unavailable_at_once() -> None:
    """Publish, subscribe, create and bounds raise; stop never hangs."""
    broker = KafkaBroker(f"127.0.0.1:{free_port()}", SystemRuntime())
    await broker.start()
    async with asyncio.timeout(30):
        for attempt in (
            broker.publish([out("t", b"1")]),
            broker.create_topics([VITAL]),
            broker.bounds(["t"]),
            broker.subscribe("g", ["t"], "w", _Nobody()),
        ):
            with pytest.raises(BrokerUnavailableError):
                await attempt
        await broker.stop()


class _Nobody:
    async def on_revoked(self, partitions: object) -> None: ...

    async def on_assigned(self, partitions: object) -> None: ...


async def test_our_partitioner_and_the_clients_agree(kafka: KafkaServer) -> None:
    """A record sent by key with Kafka's own partitioner lies where ours says."""
    from aiokafka import AIOKafkaProducer

    topic = Topic("contract", f"keys{os.getpid()}", "key", partitions=6)
    broker = KafkaBroker(kafka.bootstrap, SystemRuntime())
    await broker.create_topics([topic])
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    for key in ("p1", "370406102201", "店子镇", "a" * 33):
        sent = await producer.send_and_wait(topic.name, b"{}", key=key.encode())
        assert sent.partition == partition_of(key, 6)
    await producer.stop()
    await broker.stop()


async def booked(parts: MemoryParts) -> list[int]:
    return sorted(int(fact.metadata.extra["sequence"]) for fact in await received(parts))


async def test_a_broker_killed_and_back_loses_nothing(own_kafka: KafkaServer) -> None:
    """kill -9 under load, away for a while, back: relay and consumer recover alone; every fact once."""
    async with source_parts() as left, sink_parts() as right:
        runtime = SystemRuntime()
        relaying = KafkaBroker(own_kafka.bootstrap, runtime, publish_seconds=3.0)
        consuming = KafkaBroker(own_kafka.bootstrap, runtime)
        await relaying.start()
        network = await connect([source(left)], relaying)
        relay = network.services["registration"].relay
        relay._runtime = runtime  # waits between attempts are real here
        consumer = Consumer(
            group=f"g-{next(_numbers)}",
            worker="w1",
            broker=consuming,
            store=right.store,
            database=right.database,
            intake=Intake(right.types, MESSAGES, RecordingUnsealer("subsidy")),
            clock=right.clock,
            runtime=runtime,
        )
        stop = asyncio.Event()
        work = [
            runtime.start(relay.run(stop), "relay"),
            runtime.start(ConsumerWorker(consumer, runtime).run(stop), "consumer"),
        ]

        async def all_of(count: int) -> None:
            async def there() -> bool:
                return len(await received(right)) >= count

            assert await until(there, seconds=120)
            assert await booked(right) == list(range(1, count + 1))

        await note(left, *[EmploymentNoted(person_id=f"p{i % 7}") for i in range(100)])
        await all_of(100)
        await own_kafka.kill()
        await note(left, *[EmploymentNoted(person_id=f"p{i % 7}") for i in range(100)])
        assert await booked(right) == list(range(1, 101))
        await own_kafka.start()
        await note(left, *[EmploymentNoted(person_id=f"p{i % 7}") for i in range(100)])
        await all_of(300)
        own_kafka.freeze()
        await note(left, *[EmploymentNoted(person_id=f"p{i % 7}") for i in range(50)])
        own_kafka.thaw()
        await all_of(350)
        stop.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*work)
        await relaying.stop()
        await consuming.stop()
