"""Measure 6: messages consumed exactly once into our own log and one read model.

Ours: the embedded broker's consumer, the log, and a projection that counts. Held against FastStream with a message
and a transaction at a time, and against polling and decoding the same envelopes and writing nothing.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.contracts.message import Envelope
from shared.contracts.topics import TOPICS
from shared.eventstore.database import Connection
from shared.eventstore.migrate import migrate
from shared.eventstore.projections import ProjectionRunner
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SystemRuntime
from shared.messaging.embedded import EmbeddedBroker
from tests.benchmarks.baselines.fast_stream import consumed
from tests.benchmarks.bench_messaging import Bystander, Service, noted, until_idle
from tests.benchmarks.rig.site import Site
from tests.benchmarks.rig.table import Measure, Table
from tests.unit.messaging.samples import MESSAGES, EmploymentNoted

EVENTS = 20_000
SINGLY = 1_500
ROUNDS = 3
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
    """Every round each in turn; medians."""
    names = [f"bench_{part}" for part in ("sender", "receiver", "broker", "stream")]
    for name in names:
        await site.postgres.create_database(name)
    sender_url, receiver_url, broker_url, stream_url = map(site.postgres.url, names)
    for url in (sender_url, receiver_url):
        await migrate(url)
    broker = EmbeddedBroker(broker_url, SystemRuntime())
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
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # as a service's process does
    found = Measure("messages consumed exactly once into a log and one read model", "messages/s")
    try:
        await sender.relay.run_once()
        await until_idle(receiver.consumer.run_once)
        reading = await broker.subscribe("reading", receiver.consumer.intake.topics, "r", Bystander())
        await reading.poll(1)
        for number in range(rounds):
            await _round(found, sender, receiver, projections, stream_url, number, events)
            found.add(RAW, await _decoded(reading, events))
        await reading.close()
        async with receiver.database.read() as connection:
            ((told,),) = await connection.execute(sa.select(sa.func.sum(NOTES.c.notes)))
        if told != events * rounds:
            found.fault(f"{told} of {events * rounds} messages in the read model")
    finally:
        await sender.stop()
        await receiver.stop()
        await broker.stop()
    found.ratio(OURS, STREAM, 20.0)
    found.ratio(OURS, RAW, 0.15)
    found.note(
        "FastStream runs on its in-process test broker: it pays for no network and no broker, ours does"
    )
    table.take(found)


async def _round(
    found: Measure, sender: Service, receiver: Service, projections: ProjectionRunner, stream_url: str,
    number: int, events: int,
) -> None:  # fmt: skip
    people = [f"{number:04d}{each:028x}" for each in range(events)]
    after = await sender.log.head()
    await sender.store.execute_bulk([noted(each, EmploymentNoted(person_id=each)) for each in people])
    page = await sender.log.read(after, events)
    envelopes = [
        each.value for each in (await sender.relay._publications.outgoing(page, sender.database)).records
    ]
    found.add(STREAM, await consumed(stream_url, envelopes[: min(SINGLY, len(envelopes))]))
    await until_idle(sender.relay.run_once)
    started = time.perf_counter()
    await _consumed(receiver, projections)
    found.add(OURS, len(envelopes) / (time.perf_counter() - started))


async def _consumed(receiver: Service, projections: ProjectionRunner) -> None:
    """Consumer and read model side by side, as in a worker's process, until both have everything."""
    stop = asyncio.Event()
    following = asyncio.create_task(projections.run(stop))
    await until_idle(receiver.consumer.run_once)
    end = await receiver.log.head()
    while projections.position() < end:  # noqa: ASYNC110 - nobody tells when a read model has got there
        await asyncio.sleep(0.001)
    stop.set()
    await following


async def _decoded(reading: Any, events: int) -> float:
    """Messages per second polled from the same broker and decoded, nothing written."""
    decoder, count = msgspec.json.Decoder(Envelope), 0
    started = time.perf_counter()
    while count < events:
        for batch in await reading.poll(1000):
            for record in batch.records:
                decoder.decode(record.value)
                count += 1
    return count / (time.perf_counter() - started)
