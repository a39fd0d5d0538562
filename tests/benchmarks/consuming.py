"""Measure 6: messages consumed exactly once into our own log and one read model.

Ours: the consumer, the log, and a projection that counts, on the embedded broker and on Kafka. Held against
FastStream with a message and a transaction at a time, and against polling and decoding the same envelopes and writing
nothing.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from deploy.local.kafka import missing_tools
from deploy.local.layout import Broker as Placed
from shared.contracts.message import Envelope
from shared.contracts.topics import TOPICS
from shared.eventstore.database import Connection
from shared.eventstore.migrate import migrate
from shared.eventstore.projections import ProjectionRunner
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SystemRuntime
from shared.messaging.broker import Broker, Subscription
from shared.messaging.embedded import EmbeddedBroker
from shared.messaging.kafka import KafkaBroker
from tests.benchmarks.baselines.fast_stream import consumed
from tests.benchmarks.bench_messaging import Bystander, Service, noted, until_idle
from tests.benchmarks.rig.site import Site
from tests.benchmarks.rig.table import Measure, Table
from tests.unit.messaging.samples import MESSAGES, EmploymentNoted

EVENTS = 20_000
SINGLY = 1_500
ROUNDS = 3
WARM = 1_000
WAIT_SECONDS = 0.1
OURS, STREAM, RAW = "consumer and read model", "FastStream, one at a time", "poll and decode alone"
_METADATA = sa.MetaData()
NOTES = sa.Table(
    "bench_notes", _METADATA,
    sa.Column("person_id", sa.Text, primary_key=True), sa.Column("notes", sa.BigInteger, nullable=False),
)  # fmt: skip


class Notes:
    """How often somebody was told of."""

    name = "bench-notes"
    tables: Sequence[sa.Table] = (NOTES,)
    handles: tuple[type[Any], ...] = (MESSAGES[0],)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        rows = [{"person_id": each.event.person_id, "notes": 1} for each in events]
        await connection.upsert(NOTES, rows, add=("notes",))


async def measure(site: Site, table: Table, events: int = EVENTS, rounds: int = ROUNDS) -> None:
    """On the embedded broker, then on Kafka where it can run. Every round each in turn; medians."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # as a service's process does
    await site.postgres.create_database("bench_broker")
    embedded = EmbeddedBroker(site.postgres.url("bench_broker"), SystemRuntime())
    table.take(await _measured(site, embedded, Placed.EMBEDDED, events, rounds))
    missing = missing_tools()
    if missing is not None:
        table.note(f"consuming from Kafka was not measured: {missing}")
        return
    await site.start_kafka()
    assert site.kafka is not None
    kafka = KafkaBroker(site.kafka.bootstrap, SystemRuntime())
    table.take(await _measured(site, kafka, Placed.KAFKA, events, rounds))


async def _measured(site: Site, broker: Broker, placed: Placed, events: int, rounds: int) -> Measure:
    names = [f"bench_{part}_{placed}" for part in ("sender", "receiver", "stream")]
    for name in names:
        await site.postgres.create_database(name)
    sender_url, receiver_url, stream_url = map(site.postgres.url, names)
    for url in (sender_url, receiver_url):
        await migrate(url)
    await broker.start()
    await broker.create_topics(TOPICS)
    sender, receiver = (
        Service(sender_url, broker, "registration"),
        Service(receiver_url, broker, "collection"),
    )
    await receiver.database.create_all([_METADATA])
    projections = ProjectionRunner(
        log=receiver.log, projections=[Notes()], runtime=receiver.runtime, tail=receiver.tail,
        announcer=receiver.store,
    )  # fmt: skip
    await sender.store.start()
    await receiver.store.start()
    found = Measure(f"messages consumed exactly once into a log and one read model: {placed}", "messages/s")
    try:
        reading = await broker.subscribe("reading", receiver.consumer.intake.topics, "r", Bystander())
        await _sent(sender, "warm", WARM)
        await _consumed(receiver, projections, WARM)
        await _decoded(reading, WARM)
        for number in range(rounds):
            envelopes = await _sent(sender, f"{number:04d}", events)
            found.add(STREAM, await consumed(stream_url, envelopes[:SINGLY]))
            found.add(OURS, await _consumed(receiver, projections, events))
            found.add(RAW, await _decoded(reading, events))
        await reading.close()
        async with receiver.database.read() as connection:
            ((told,),) = await connection.execute(sa.select(sa.func.sum(NOTES.c.notes)))
        if told != events * rounds + WARM:
            found.fault(f"{told} of {events * rounds + WARM} messages in the read model")
    finally:
        await sender.stop()
        await receiver.stop()
        await broker.stop()
    found.ratio(OURS, STREAM, 20.0)
    if placed is Placed.KAFKA:
        found.ratio(OURS, RAW, 0.15)
    else:
        found.note(
            "what a look at the embedded broker brought lies in memory: decoding it is a figure, no baseline"
        )
    found.note(
        "FastStream runs on its in-process test broker: it pays for no network and no broker, ours does"
    )
    return found


async def _sent(sender: Service, prefix: str, events: int) -> list[bytes]:
    """Events told to the broker; the envelopes they travel in."""
    people = [f"{prefix}{each:028x}" for each in range(events)]
    after = await sender.log.head()
    await sender.store.execute_bulk([noted(each, EmploymentNoted(person_id=each)) for each in people])
    page = await sender.log.read(after, events)
    outgoing = await sender.relay._publications.outgoing(page, sender.database)
    await until_idle(sender.relay.run_once)
    return [each.value for each in outgoing.records]


async def _consumed(receiver: Service, projections: ProjectionRunner, messages: int) -> float:
    """Messages per second of consumer and read model, side by side as in a worker's process, to the last."""
    stop, handled = asyncio.Event(), 0
    started = time.perf_counter()
    following = asyncio.create_task(projections.run(stop))
    while handled < messages:
        handled += await receiver.consumer.run_once(WAIT_SECONDS)
    end = await receiver.log.head()
    while projections.position() < end:  # noqa: ASYNC110 - nobody tells when a read model has got there
        await asyncio.sleep(0.001)
    rate = messages / (time.perf_counter() - started)
    stop.set()
    await following
    return rate


async def _decoded(reading: Subscription, messages: int) -> float:
    """Messages per second polled from the same broker and decoded, nothing written."""
    decoder, count = msgspec.json.Decoder(Envelope), 0
    started = time.perf_counter()
    while count < messages:
        for batch in await reading.poll(1000, WAIT_SECONDS):
            for record in batch.records:
                decoder.decode(record.value)
                count += 1
    return messages / (time.perf_counter() - started)
