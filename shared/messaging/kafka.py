"""The broker port on Apache Kafka, by aiokafka: production.

What trials with a real broker taught is in ADR 0030: after any failed publish the producer is thrown away,
a partition has one batch in flight, and clients are never waited for without a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IllegalStateError, KafkaError

from shared.contracts.topics import Topic
from shared.kernel.clock import Runtime
from shared.messaging.broker import (
    MAX_RECORD_BYTES,
    Batch,
    BrokerUnavailableError,
    Listener,
    Outgoing,
    Partition,
    PublishRejectedError,
    Record,
    Subscription,
    by_partition,
    refuse_too_large,
)
from shared.messaging.quiet import quieten

logger = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_SECONDS = 10.0
PUBLISH_SECONDS = 30.0
CLOSE_SECONDS = 3.0
SESSION_SECONDS = 10.0
REBALANCE_SECONDS = 30.0
HEARTBEAT_MS = 500
RETRY_MS = 100
FETCH_WAIT_MS = 50
"""aiokafka has one fetch under way per broker, and leaves out of it the partitions it holds records of. Made while a
consumer was at work on those, it asks for empty partitions only and stays until this is over, whatever has come
elsewhere meanwhile."""
TOPIC_EXISTS = 36
DAY_MS = 86_400_000


def _broker_error(error: BaseException) -> BrokerUnavailableError | PublishRejectedError:
    """Retriable errors and lost connections: the broker is away. All others: it said no."""
    away = isinstance(error, OSError | TimeoutError) or getattr(error, "retriable", False)
    return (BrokerUnavailableError if away else PublishRejectedError)(type(error).__name__)


async def _answer(work: Awaitable[T], seconds: float = ANSWER_SECONDS) -> T:
    """The result, or BrokerUnavailableError, PublishRejectedError."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except (KafkaError, OSError, TimeoutError) as error:
        raise _broker_error(error) from error


async def _give_up(work: Awaitable[Any]) -> None:
    """Close something that may hang or raise; aiokafka's ``stop`` does both without a broker."""
    task = asyncio.current_task()
    cancelling = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await work
    except asyncio.CancelledError:
        if task is not None and task.cancelling() > cancelling:
            raise
    except Exception as error:  # noqa: BLE001 - nothing is left to be done with it
        logger.debug("kafka: close: %s", type(error).__name__)


def topic_settings(topic: Topic) -> dict[str, str]:
    """What a topic is created with, whoever creates it."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention_days * DAY_MS),
        "max.message.bytes": str(MAX_RECORD_BYTES + 1024),
    }


class KafkaBroker:
    """See broker.Broker.

    bootstrap: host:port, several separated by commas. replication: of topics created here. options: what
    every client gets in addition (TLS, SASL).
    """

    def __init__(
        self,
        bootstrap: str,
        runtime: Runtime,
        *,
        replication: int = 1,
        session_seconds: float = SESSION_SECONDS,
        publish_seconds: float = PUBLISH_SECONDS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.options: dict[str, Any] = {"bootstrap_servers": bootstrap, **(options or {})}
        self._runtime = runtime
        self._replication = replication
        self._session_seconds = session_seconds
        self._publish_seconds = publish_seconds
        self._producer: Any = None
        self._inspector: Any = None
        self._partitions: dict[str, list[TopicPartition]] = {}
        """Of topics that are there: they stay as they are."""

    async def start(self) -> None:
        """See Broker.start. Clients connect when they are first needed."""
        quieten(self._runtime, "aiokafka")

    async def stop(self) -> None:
        """See Broker.stop."""
        await self._drop_producer()
        inspector, self._inspector = self._inspector, None
        if inspector is not None:
            await _give_up(inspector.stop())

    async def create_topics(self, topics: Iterable[Topic]) -> None:
        """See Broker.create_topics."""
        wanted = [self._new_topic(topic) for topic in {topic.name: topic for topic in topics}.values()]
        admin = AIOKafkaAdminClient(**self.options)
        try:
            await _answer(admin.start())
            response = await _answer(admin.create_topics(wanted))
            failed = [entry for entry in response.topic_errors if entry[1] not in {0, TOPIC_EXISTS}]
            if failed:
                raise PublishRejectedError(
                    f"topics not created, error codes {[entry[1] for entry in failed]}"
                )
        finally:
            await _give_up(admin.close())

    def _new_topic(self, topic: Topic) -> NewTopic:
        return NewTopic(topic.name, topic.partitions, self._replication, topic_configs=topic_settings(topic))

    # -- publishing -----------------------------------------------------------------------------------

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See Broker.publish. One batch per partition at a time; the next when it is acknowledged."""
        refuse_too_large(batch)
        if not batch:
            return
        try:
            async with asyncio.timeout(self._publish_seconds):
                await self._publish(by_partition(batch))
        except (KafkaError, OSError, TimeoutError) as error:
            await self._drop_producer()
            raise _broker_error(error) from error
        except BaseException:
            await self._drop_producer()
            raise

    async def _publish(self, waiting: dict[Partition, list[Outgoing]]) -> None:
        producer = await self._ready()
        while waiting:
            acknowledged = []
            for partition, records in list(waiting.items()):
                full, rest = _fill(producer, records)
                acknowledged.append(
                    await producer.send_batch(full, partition.topic, partition=partition.part)
                )
                if rest:
                    waiting[partition] = rest
                else:
                    del waiting[partition]
            await asyncio.gather(*acknowledged)

    async def _ready(self) -> Any:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self.options,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                retry_backoff_ms=RETRY_MS,
                max_batch_size=MAX_RECORD_BYTES,
                max_request_size=2 * MAX_RECORD_BYTES,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def _drop_producer(self) -> None:
        """After a failure the producer's sequence numbers are worth nothing: a new one starts clean."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        await _give_up(producer.stop())
        await _give_up(producer._sender.close())  # stop() leaves it running when it had to be cut off
        await _give_up(producer.client.close())

    # -- subscribing ----------------------------------------------------------------------------------

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        """See Broker.subscribe."""
        consumer = AIOKafkaConsumer(
            **self.options,
            group_id=group,
            client_id=worker,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._session_seconds * 1000),
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=int(REBALANCE_SECONDS * 1000),
            retry_backoff_ms=RETRY_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
        )
        subscription = KafkaSubscription(consumer, self._runtime)
        consumer.subscribe(list(topics), listener=_Rebalance(listener))
        try:
            await _answer(consumer.start(), REBALANCE_SECONDS)
        except BaseException:
            await _give_up(consumer.stop())
            raise
        return subscription

    async def bounds(self, topics: Sequence[str]) -> Mapping[Partition, tuple[int, int]]:
        """See Broker.bounds."""
        if self._inspector is None:
            inspector = AIOKafkaConsumer(**self.options, group_id=None)
            try:
                await _answer(inspector.start())
            except BaseException:
                await _give_up(inspector.stop())
                raise
            self._inspector = inspector
        await self._find(topics)
        try:
            known = [partition for topic in topics for partition in self._partitions.get(topic, ())]
            return await _bounds(self._inspector, known)
        except BaseException:
            self._partitions.clear()
            raise

    async def _find(self, topics: Sequence[str]) -> None:
        """Ask which partitions there are, where it is not known: the answer is as large as the cluster."""
        missing = [topic for topic in topics if topic not in self._partitions]
        if missing:
            metadata = await _answer(self._inspector._client.fetch_all_metadata())
            for topic in missing:
                parts = metadata.partitions_for_topic(topic)
                if parts:
                    self._partitions[topic] = [TopicPartition(topic, part) for part in sorted(parts)]


class KafkaSubscription:
    """See broker.Subscription. Heartbeats and rebalances run in aiokafka's own tasks.

    Behind a full page the next one is made ahead: unpacking it is work for this process, and whoever polled is about
    to wait for a database. What is sought meanwhile is left out of it, and sought again: the page may have been made
    before the seek or behind it.
    """

    def __init__(self, consumer: Any, runtime: Runtime) -> None:
        self._consumer = consumer
        self._runtime = runtime
        self._ahead: tuple[int, asyncio.Task[list[Batch]]] | None = None
        self._sought: dict[Partition, int] = {}

    async def poll(self, max_records: int, wait_seconds: float = 0.0) -> list[Batch]:
        """See Subscription.poll."""
        batches = await self._made_ahead(max_records)
        if not batches:
            batches = await self._fetched(max_records, wait_seconds)
        if sum(len(batch.records) for batch in batches) >= max_records:
            self._sought.clear()
            self._ahead = max_records, self._runtime.start(self._fetched(max_records, 0.0), "kafka-ahead")
        return batches

    async def _made_ahead(self, max_records: int) -> list[Batch]:
        """The page ahead, without what was sought since; where another number of records is wanted it goes back."""
        if self._ahead is None:
            return []
        (size, work), self._ahead = self._ahead, None
        batches = []
        for batch in await work:
            sought = self._sought.get(batch.partition)
            if sought is None and size == max_records:
                batches.append(batch)
            else:
                await self.seek(batch.partition, batch.records[0].offset if sought is None else sought)
        return batches

    async def _fetched(self, max_records: int, wait_seconds: float) -> list[Batch]:
        try:
            found = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000), max_records=max_records)
        except (KafkaError, OSError) as error:
            raise _broker_error(error) from error
        return [
            Batch(Partition(at.topic, at.partition), tuple(map(_record, records)))
            for at, records in sorted(found.items())
            if records
        ]

    def assignment(self) -> frozenset[Partition]:
        """See Subscription.assignment."""
        return frozenset(Partition(at.topic, at.partition) for at in self._consumer.assignment())

    async def seek(self, partition: Partition, offset: int) -> None:
        """See Subscription.seek."""
        self._sought[partition] = offset
        with contextlib.suppress(IllegalStateError):
            self._consumer.seek(TopicPartition(*partition), offset)

    async def bounds(self) -> Mapping[Partition, tuple[int, int]]:
        """See Subscription.bounds."""
        return await _bounds(self._consumer, self._consumer.assignment())

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Subscription.commit."""
        ours = self.assignment()
        kept = {TopicPartition(*p): offset for p, offset in offsets.items() if p in ours}
        if kept:
            await _answer(self._consumer.commit(kept))

    async def close(self) -> None:
        """See Subscription.close."""
        if self._ahead is not None:
            (_, work), self._ahead = self._ahead, None
            work.cancel()
            await _give_up(work)
        await _give_up(self._consumer.stop())


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka's listener: it swallows exceptions, and ours never raise."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._listener.on_revoked(sorted(Partition(at.topic, at.partition) for at in revoked))

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        await self._listener.on_assigned(sorted(Partition(at.topic, at.partition) for at in assigned))


async def _bounds(consumer: Any, partitions: Iterable[Any]) -> Mapping[Partition, tuple[int, int]]:
    wanted = sorted(partitions)
    if not wanted:
        return {}
    first, end = await _answer(
        asyncio.gather(consumer.beginning_offsets(wanted), consumer.end_offsets(wanted))
    )
    return {Partition(at.topic, at.partition): (first[at], end[at]) for at in wanted}


def _fill(producer: Any, records: list[Outgoing]) -> tuple[Any, list[Outgoing]]:
    """A closed batch with as many records as fit, and the rest. ``append`` answers None when it is full."""
    batch = producer.create_batch()
    for place, record in enumerate(records):
        added = batch.append(
            key=record.key.encode(), value=record.value, timestamp=None, headers=list(record.headers)
        )
        if added is None:
            return batch, records[place:]
    return batch, []


def _record(message: Any) -> Record:
    key = message.key.decode(errors="replace") if message.key else ""
    headers = tuple((name, bytes(value or b"")) for name, value in message.headers)
    return Record(message.offset, key, bytes(message.value or b""), headers, message.timestamp / 1000)
