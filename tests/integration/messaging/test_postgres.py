"""Messaging on a real PostgreSQL: leadership, epochs, and the embedded broker under concurrent publishers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest

from deploy.local.processes import until
from shared.contracts.topics import Topic
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.types import EventTypes
from shared.kernel.clock import SystemRuntime, WallClock
from shared.messaging import embedded, leadership
from shared.messaging.broker import BrokerError, BrokerUnavailableError, Outgoing, Partition
from shared.messaging.embedded import EmbeddedBroker, EmbeddedSubscription, prepare
from shared.messaging.epoch import EpochNotRaisedError, open_identity, raise_epoch
from shared.messaging.leadership import AdvisoryLeadership
from tests.unit.messaging.samples import EVENTS

pytestmark = pytest.mark.postgres
MakeDatabase = Callable[..., str]
TOPIC = Topic("contract", "load", "key", partitions=3)


async def execute(url: str, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql, *arguments)
    await connection.close()


async def fetch(url: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(sql, *arguments)
    await connection.close()
    return list(rows)


# -- leadership ---------------------------------------------------------------------------------------


async def test_one_leads_and_the_next_follows_when_it_lets_go(database_url: str) -> None:
    one, two = (AdvisoryLeadership(database_url, "relay:registration", SystemRuntime()) for _ in range(2))
    assert await one.hold()
    assert not await two.hold()
    await one.release()
    assert await until(two.hold, seconds=10)
    await two.release()


async def test_two_logs_have_two_leaders(database_url: str) -> None:
    one = AdvisoryLeadership(database_url, "relay:registration", SystemRuntime())
    two = AdvisoryLeadership(database_url, "relay:subsidy", SystemRuntime())
    assert await one.hold()
    assert await two.hold()
    await one.release()
    await two.release()


async def test_a_leader_whose_session_ended_knows_before_it_publishes(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen leader's session is ended by the server; another may lead; the woken one asks again."""
    monkeypatch.setattr(leadership, "PROBE_SECONDS", 60.0)
    frozen, other = (
        AdvisoryLeadership(database_url, "relay:registration", SystemRuntime()) for _ in range(2)
    )
    assert await frozen.hold()
    await execute(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relay:registration'",
    )
    assert await until(other.hold, seconds=10)
    assert not await frozen.hold()
    await frozen.release()
    await other.release()


async def test_a_silent_leaders_session_is_ended_by_the_server(database_url: str) -> None:
    leader = AdvisoryLeadership(database_url, "relay:registration", SystemRuntime())
    assert await leader.hold()
    (row,) = await leader._connection.fetch("SHOW idle_session_timeout")
    assert row[0] == f"{leadership.IDLE_SESSION_SECONDS}s"
    assert leadership.IDLE_SESSION_SECONDS > 2 * leadership.PROBE_SECONDS
    await leader.release()


async def test_without_a_database_nobody_leads() -> None:
    nobody = AdvisoryLeadership("postgresql://nobody@127.0.0.1:1/none", "registration", SystemRuntime())
    assert not await nobody.hold()
    await nobody.release()


# -- epochs -------------------------------------------------------------------------------------------


async def test_a_restored_copy_refuses_to_start_until_its_epoch_rises(
    database_factory: MakeDatabase, postgres: object
) -> None:
    """Given a service's database was restored from a copy, then open_identity refuses; raised, it starts."""
    original = database_factory(migrate)
    first = PostgresDatabase(original)
    assert (await open_identity(first, "registration")).epoch == 1
    assert (await open_identity(first, "registration")).epoch == 1
    await first.close()

    copied = database_factory()
    await _copy(original, copied)
    restored = PostgresDatabase(copied)
    with pytest.raises(EpochNotRaisedError):
        await open_identity(restored, "registration")
    log = PostgresLog(restored, EventTypes(EVENTS))
    assert await raise_epoch(log, WallClock()) == 2
    identity = await open_identity(restored, "registration")
    assert identity.started_after == (await log.head(),)
    await restored.close()


async def _copy(original: str, copied: str) -> None:
    """Replace the empty database by a copy of the original, as a restore does."""
    source, target = (urlsplit(url).path[1:] for url in (original, copied))
    maintenance = original.replace(f"/{source}", "/postgres")
    await execute(maintenance, f'DROP DATABASE "{target}" WITH (FORCE)')
    await execute(maintenance, f'CREATE DATABASE "{target}" TEMPLATE "{source}"')


# -- the embedded broker ------------------------------------------------------------------------------


class Nobody:
    async def on_revoked(self, partitions: Sequence[Partition]) -> None: ...

    async def on_assigned(self, partitions: Sequence[Partition]) -> None: ...


async def test_concurrent_publishers_never_leave_a_hole_a_reader_passes(
    database_factory: MakeDatabase,
) -> None:
    """Offsets are drawn under the partition's lock: commit order is offset order. Partitions are locked in one
    order, so publishers that take them in opposite orders do not deadlock."""
    url = database_factory(prepare)
    runtime = SystemRuntime()
    publishers = [EmbeddedBroker(url, runtime) for _ in range(3)]
    reading = EmbeddedBroker(url, runtime)
    await reading.create_topics([TOPIC])

    async def publish(number: int, broker: EmbeddedBroker) -> None:
        for round_ in range(40):
            parts = (0, 1, 2) if (number + round_) % 2 else (2, 1, 0)
            await broker.publish(
                [Outgoing(TOPIC.name, str(number), part, (), f"{number}/{round_}".encode()) for part in parts]
            )

    subscription = await reading.subscribe("g", [TOPIC.name], "w1", Nobody())
    working = [runtime.start(publish(n, broker), f"publisher-{n}") for n, broker in enumerate(publishers)]
    seen: dict[Partition, list[tuple[int, bytes]]] = {}
    async with asyncio.timeout(60):
        while sum(map(len, seen.values())) < 3 * 3 * 40:
            for batch in await subscription.poll(50, 0.1):
                seen.setdefault(batch.partition, []).extend((r.offset, r.value) for r in batch.records)
    await asyncio.gather(*working)
    for records in seen.values():
        assert [offset for offset, _ in records] == list(range(120))
        for number in range(3):
            rounds = [int(v.split(b"/")[1]) for _, v in records if v.startswith(b"%d/" % number)]
            assert rounds == sorted(rounds)
    await subscription.close()
    for broker in (*publishers, reading):
        await broker.stop()


async def test_cut_connections_are_survived(database_factory: MakeDatabase) -> None:
    """The server ends every session: the next calls fail or work, the ones after work."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    await broker.publish([Outgoing(TOPIC.name, "k", 0, (), b"1")])
    await execute(
        url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'broker'"
    )

    async def published() -> bool:
        try:
            await broker.publish([Outgoing(TOPIC.name, "k", 0, (), b"2")])
        except BrokerError:
            return False
        return True

    assert await until(published, seconds=20)
    assert (await broker.bounds([TOPIC.name]))[Partition(TOPIC.name, 0)][1] >= 2
    await broker.stop()


async def test_a_session_the_driver_lost_track_of_is_a_broker_away(database_factory: MakeDatabase) -> None:
    """asyncpg's "another operation is in progress", of a session cut in mid-call: another session serves."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    sessions: list[int] = []

    async def cut() -> None:
        async with broker.connection() as connection:
            sessions.append(await connection.fetchval("SELECT pg_backend_pid()"))
            raise asyncpg.InternalClientError(
                "cannot switch to state 12; another operation (2) is in progress"
            )

    with pytest.raises(BrokerUnavailableError):
        await cut()
    async with broker.connection() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") not in sessions
    await broker.stop()


async def test_a_publisher_wakes_the_readers_of_its_topics(
    database_factory: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of other processes too, by one notification a batch; whoever reads other topics sleeps on. Heartbeats are
    so rare here that nothing else could wake them."""
    monkeypatch.setattr(embedded, "HEARTBEAT_SECONDS", 60.0)
    url = database_factory(prepare)
    publisher, reading = EmbeddedBroker(url, SystemRuntime()), EmbeddedBroker(url, SystemRuntime())
    other = Topic("test", "other", "k", partitions=1)
    await reading.create_topics([TOPIC, other])
    subscription = await reading.subscribe("g", [TOPIC.name], "w1", Nobody())
    elsewhere = await reading.subscribe("h", [other.name], "w1", Nobody())
    assert await subscription.poll(10) == await elsewhere.poll(10) == []
    listening = asyncio.ensure_future(elsewhere.poll(10, 1.0))
    for number in range(3):
        waiting = asyncio.ensure_future(subscription.poll(10, 60.0))
        assert await until(reading.listens, seconds=20)
        await publisher.publish([Outgoing(TOPIC.name, "k", 0, (), str(number).encode())] * 2)
        async with asyncio.timeout(20):
            (batch,) = await waiting
        assert [record.value for record in batch.records] == [str(number).encode()] * 2
    assert await listening == []
    await subscription.close()
    await elsewhere.close()
    await publisher.stop()
    await reading.stop()


async def test_without_notifications_readers_look_for_themselves(
    database_factory: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that listens is cut again and again: what is published is read all the same."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    subscription = await broker.subscribe("g", [TOPIC.name], "w1", Nobody())

    async def deaf(*_: object) -> None:
        return None

    monkeypatch.setattr(broker, "listen", deaf)
    waiting = asyncio.ensure_future(subscription.poll(10, 60.0))
    await broker.publish([Outgoing(TOPIC.name, "k", 0, (), b"1")])
    async with asyncio.timeout(20):
        assert len(await waiting) == 1
    monkeypatch.undo()
    waiting = asyncio.ensure_future(subscription.poll(10, 60.0))
    assert await until(broker.listens, seconds=20)
    await execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'broker-listener'",
    )
    await broker.publish([Outgoing(TOPIC.name, "k", 0, (), b"2")])
    async with asyncio.timeout(20):
        assert len(await waiting) == 1
    await subscription.close()
    await broker.stop()


async def test_retention_drops_what_is_old_and_read_and_nothing_else(database_factory: MakeDatabase) -> None:
    """Whole batches go: offsets 0-3, 4-7 and 8-9 were published at once each."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    for offsets in (range(4), range(4, 8), range(8, 10)):
        await broker.publish([Outgoing(TOPIC.name, "k", 0, (), str(i).encode()) for i in offsets])
    subscription = await broker.subscribe("g", [TOPIC.name], "w1", Nobody())
    await subscription.commit({Partition(TOPIC.name, 0): 6})
    assert await broker.trim() == 0
    await execute(
        url, "UPDATE broker.batches SET appended_at = appended_at - interval '31 days' WHERE next_offset <= 8"
    )
    assert await broker.trim() == 4
    assert (await broker.bounds([TOPIC.name]))[Partition(TOPIC.name, 0)] == (4, 10)
    await subscription.commit({Partition(TOPIC.name, 0): 10})
    assert await broker.trim() == 4
    assert (await broker.bounds([TOPIC.name]))[Partition(TOPIC.name, 0)] == (8, 10)
    await subscription.close()
    await broker.stop()


async def test_records_of_an_earlier_version_keep_their_offsets(database_factory: MakeDatabase) -> None:
    """A broker that stored a row per record is taken over at the start, once."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    await execute(
        url,
        'CREATE TABLE broker.records (topic text, part integer, "offset" bigint, key text, value bytea,'
        " headers bytea, appended_at timestamptz)",
    )
    headers = msgspec.msgpack.encode((("content-type", b"x"),)).hex()
    for offset in (0, 1, 3):
        await execute(
            url,
            f"INSERT INTO broker.records VALUES ('{TOPIC.name}', 0, {offset}, 'k{offset}', 'v', "
            f"decode('{headers}', 'hex'), now())",
        )
    await execute(
        url, f"UPDATE broker.partitions SET next_offset = 4 WHERE topic = '{TOPIC.name}' AND part = 0"
    )
    await broker.stop()
    await prepare(url)
    await prepare(url)
    broker = EmbeddedBroker(url, SystemRuntime())
    subscription = await broker.subscribe("g", [TOPIC.name], "w1", Nobody())
    (batch,) = await subscription.poll(10)
    assert [(record.offset, record.key, record.headers) for record in batch.records] == [
        (offset, f"k{offset}", (("content-type", b"x"),)) for offset in (0, 1, 3)
    ]
    await subscription.close()
    await broker.stop()


async def test_polling_uses_the_primary_key(database_factory: MakeDatabase) -> None:
    """The poll of a long partition reads as many rows as it answers."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    for _ in range(250):
        await broker.publish([Outgoing(TOPIC.name, "k", 0, (), b"x") for _ in range(20)])
    await execute(url, "ANALYZE broker.batches")
    plan = await fetch(
        url,
        "EXPLAIN SELECT * FROM broker.batches b WHERE b.topic = $1 AND b.part = 0 AND b.next_offset > 4990"
        " ORDER BY b.next_offset LIMIT 500",
        TOPIC.name,
    )
    text = "\n".join(row[0] for row in plan)
    assert "Index Scan using batches_pkey" in text
    assert "Sort" not in text
    await broker.stop()


async def test_who_merely_stays_in_a_group_locks_nobody_and_whoever_is_silent_is_still_put_out(
    database_factory: MakeDatabase,
) -> None:
    """Given a member, when its group's row is held by another session, then its heartbeat passes all the same;
    given a silent member beside it, then the next heartbeat puts that one out and tells a new generation."""
    url = database_factory(prepare)
    broker = EmbeddedBroker(url, SystemRuntime())
    await broker.create_topics([TOPIC])
    subscription = await broker.subscribe("g", [TOPIC.name], "w1", Nobody())
    assert isinstance(subscription, EmbeddedSubscription)
    holding = await asyncpg.connect(url)
    async with holding.transaction(), asyncio.timeout(20):
        await holding.execute("SELECT FROM broker.groups FOR UPDATE")
        await subscription.beat()
    ((before,),) = await fetch(url, "SELECT generation FROM broker.groups WHERE name = 'g'")
    await holding.execute(
        "INSERT INTO broker.members SELECT grp, 'gone', session, topics, heartbeat_at - interval '1 day'"
        " FROM broker.members"
    )
    await holding.close()
    await subscription.beat()
    assert await fetch(url, "SELECT worker, generation FROM broker.members, broker.groups") == [
        ("w1", before + 1)
    ]
    await subscription.commit({Partition(TOPIC.name, 0): 3, Partition(TOPIC.name, 1): 4})
    await subscription.commit({Partition(TOPIC.name, 0): 5})
    told = await fetch(url, "SELECT part, next_offset FROM broker.offsets ORDER BY part")
    assert told == [(0, 5), (1, 4)]
    await subscription.close()
    await broker.stop()
