"""The embedded broker: the one-machine default. A log in a PostgreSQL database of its own.

Never in one transaction with a service, so that what works here works on Kafka: same partitions, partitioner,
size limit, groups, rebalances and offsets.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import asyncpg
import msgspec

from shared.contracts.topics import Topic
from shared.eventstore.postgres import PLANNED_ONCE
from shared.eventstore.sessions import Session
from shared.kernel.clock import Runtime
from shared.messaging.batches import pack, unpack
from shared.messaging.broker import (
    Batch,
    BrokerUnavailableError,
    Headers,
    Listener,
    Outgoing,
    Partition,
    PublishRejectedError,
    Record,
    Subscription,
    assign,
    refuse_too_large,
)

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 0.5
SESSION_SECONDS = 10.0
IDLE_SECONDS = (0.01, 0.1)
"""How often a subscription looks for records while the server cannot tell it (no listening session)."""

PUBLISHED = "broker_published"
"""The channel of ``broker.publish``: one notification a batch, naming its topics."""

TRIM_SECONDS = 3600.0
MIGRATION_LOCK = 7205759403792794001
COMMAND_SECONDS = 20.0

# asyncpg answers a session cut in the middle of a call with InternalClientError ("another operation").
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
)

# The batches of each partition that hold what is wanted of it: at least one, and as many as its share takes.
_POLL = """
WITH ready AS MATERIALIZED (
    SELECT u.*, p.next_offset AS ends FROM unnest($1::text[], $2::int[], $3::bigint[]) AS u(topic, part, next)
    JOIN broker.partitions p ON p.topic = u.topic AND p.part = u.part AND p.next_offset > u.next
), share AS MATERIALIZED (
    SELECT greatest(1, $4::bigint / greatest(1, count(*))) AS records FROM ready
)
SELECT u.topic, u.part, b.next_offset, b.count, extract(epoch FROM b.appended_at)::float8 AS at, b.records,
       u.ends
FROM ready u CROSS JOIN share
CROSS JOIN LATERAL (
    SELECT t.*, sum(t.count) OVER (ORDER BY t.next_offset) - t.count AS before FROM (
        SELECT * FROM broker.batches b
        WHERE b.topic = u.topic AND b.part = u.part AND b.next_offset > u.next
        ORDER BY b.next_offset LIMIT share.records
    ) t
) b
WHERE b.before < share.records
ORDER BY u.topic, u.part, b.next_offset
"""

_OLD = """
SELECT topic, part, "offset", key, value, headers, appended_at FROM broker.records ORDER BY topic, part, "offset"
"""
"""Records of an earlier version, a row each."""

# Nobody starts from these: one lost with the server only keeps records a while longer. No wait for the disk.
_COMMIT = """
INSERT INTO broker.offsets
SELECT $1, o.topic, o.part, o.next_offset, clock_timestamp()
FROM (SELECT set_config('synchronous_commit', 'off', true) OFFSET 0) AS hurried
CROSS JOIN unnest($2::text[], $3::int[], $4::bigint[]) AS o(topic, part, next_offset)
ON CONFLICT (grp, topic, part) DO UPDATE
SET next_offset = excluded.next_offset, committed_at = excluded.committed_at
"""


async def prepare(dsn: str) -> None:
    """Create the broker's tables and functions; harmless when they are there. Raises asyncpg's errors."""
    sql = resources.files("shared.messaging").joinpath("embedded.sql").read_text(encoding="utf-8")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await connection.execute(sql)
        if await connection.fetchval("SELECT to_regclass('broker.records')") is not None:
            await _convert(connection)
    finally:
        await connection.close()


async def _convert(connection: Any) -> None:
    """Records that an earlier version stored a row each, as batches of one: their offsets stay."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE broker.records IN ACCESS EXCLUSIVE MODE")
        async for topic, part, offset, key, value, headers, at in connection.cursor(_OLD):
            record = Outgoing(topic, key, part, msgspec.msgpack.decode(headers, type=Headers), value)
            (packed,) = pack([record])
            await connection.execute(
                "INSERT INTO broker.batches VALUES ($1, $2, $3, 1, $4, $5)",
                topic,
                part,
                offset + 1,
                at,
                packed.records,
            )
        await connection.execute("DROP TABLE broker.records; DROP FUNCTION IF EXISTS broker.publish")


class EmbeddedBroker:
    """See broker.Broker. dsn: the broker's database; its tables are made at ``start``."""

    def __init__(
        self, dsn: str, runtime: Runtime, *, session_seconds: float = SESSION_SECONDS, pool_size: int = 4
    ) -> None:
        self._dsn = dsn
        self.runtime = runtime
        self.session_seconds = session_seconds
        self._pool_size = pool_size
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._listening: Any = None
        self._bells: dict[asyncio.Event, frozenset[str]] = {}

    async def start(self) -> None:
        """See Broker.start."""

    async def stop(self) -> None:
        """See Broker.stop."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.terminate()
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(3):
                    await pool.close()
            except (TimeoutError, *_AWAY):
                pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection out of the pool. Raises BrokerUnavailableError for whatever keeps it from working."""
        try:
            if self._pool is None:
                await self._open()
            async with self._pool.acquire(timeout=COMMAND_SECONDS) as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()  # what it would answer next is not known
                    raise
        except _AWAY as error:
            raise BrokerUnavailableError(type(error).__name__) from error
        except asyncpg.PostgresError as error:
            if error.sqlstate and error.sqlstate[:2] in {"08", "53", "55", "57"}:
                raise BrokerUnavailableError(type(error).__name__) from error
            raise PublishRejectedError(type(error).__name__) from error

    async def _open(self) -> None:
        async with self._opening:
            if self._pool is None:
                await prepare(self._dsn)
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=1,
                    max_size=self._pool_size,
                    command_timeout=COMMAND_SECONDS,
                    connection_class=Session,
                    reset=_as_it_is,
                    server_settings={
                        **PLANNED_ONCE,
                        "application_name": "broker",
                        "idle_in_transaction_session_timeout": "3000",
                        "lock_timeout": "10000",
                    },
                )

    async def listen(self, bell: asyncio.Event, topics: Iterable[str]) -> Any:
        """Set ``bell`` whenever something is published to the topics. Answers the session that listens, None
        while there is none; what was published before it listened rings nobody."""
        self._bells[bell] = frozenset(topics)
        async with self._opening:
            if not self.listens():
                self._listening = None
                try:
                    listening = await asyncpg.connect(
                        self._dsn, timeout=5, server_settings={"application_name": "broker-listener"}
                    )
                    await listening.add_listener(PUBLISHED, self._ring)
                except (*_AWAY, asyncpg.PostgresError) as error:
                    logger.warning("broker: no notifications: %s", type(error).__name__)
                    return None
                self._listening = listening
        return self._listening

    def listens(self) -> bool:
        """Whether a session listens for what is published."""
        return self._listening is not None and not self._listening.is_closed()

    def deaf(self, bell: asyncio.Event) -> None:
        """Forget a bell."""
        self._bells.pop(bell, None)

    def _ring(self, _connection: Any, _pid: int, _channel: str, topics: object) -> None:
        published = set(str(topics).split(","))
        for bell, wanted in self._bells.items():
            if not wanted.isdisjoint(published):
                bell.set()

    async def create_topics(self, topics: Iterable[Topic]) -> None:
        """See Broker.create_topics."""
        async with self.connection() as connection, connection.transaction():
            for topic in topics:
                await connection.execute(
                    "INSERT INTO broker.topics VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    topic.name,
                    topic.partitions,
                    topic.retention_days,
                )
                await connection.execute(
                    "INSERT INTO broker.partitions (topic, part)"
                    " SELECT name, generate_series(0, partitions - 1) FROM broker.topics WHERE name = $1"
                    " ON CONFLICT DO NOTHING",
                    topic.name,
                )
            await connection.execute("UPDATE broker.groups SET generation = generation + 1")

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See Broker.publish. One statement, one transaction."""
        refuse_too_large(batch)
        if not batch:
            return
        columns: list[list[Any]] = [[], [], [], []]
        for (topic, part), count, records in pack(batch):
            for column, value in zip(columns, (topic, part, count, records), strict=True):
                column.append(value)
        async with self.connection() as connection:
            done = await connection.fetchval("SELECT broker.append($1, $2, $3, $4)", *columns)
        if not done:
            raise PublishRejectedError("unknown topic or partition")

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        """See Broker.subscribe."""
        subscription = EmbeddedSubscription(self, group, tuple(topics), worker, listener)
        await subscription.beat()
        return subscription

    async def bounds(self, topics: Sequence[str]) -> Mapping[Partition, tuple[int, int]]:
        """See Broker.bounds."""
        async with self.connection() as connection:
            rows = await connection.fetch(
                "SELECT topic, part, first_offset, next_offset FROM broker.partitions"
                " WHERE topic = ANY ($1) ORDER BY topic, part",
                list(topics),
            )
        return {Partition(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def trim(self) -> int:
        """Drop what is older than its topic's retention and read by every group. Answers the count."""
        async with self.connection() as connection:
            return int(await connection.fetchval("SELECT broker.trim()"))


class EmbeddedSubscription:
    """See broker.Subscription. Heartbeats ride on polls: a worker that does not poll is put out."""

    def __init__(
        self, broker: EmbeddedBroker, group: str, topics: tuple[str, ...], worker: str, listener: Listener
    ) -> None:
        self._broker = broker
        self._runtime = broker.runtime
        self._group = group
        self._topics = topics
        self._worker = worker
        self._listener = listener
        self._session = self._runtime.new_id()
        self._patience = dt.timedelta(seconds=broker.session_seconds)
        self._seen_generation = -1
        self._joined_generation = -1
        self._beat_at = 0.0
        self._trimmed_at = self._runtime.monotonic()
        self._positions: dict[Partition, int] = {}
        self._fetched: dict[Partition, list[Record]] = {}
        self._assigned: frozenset[Partition] = frozenset()
        self._published = asyncio.Event()
        self._listening: Any = None
        self._more = True
        self._fetched_at = 0.0

    async def beat(self) -> None:
        """Say that we are there; learn the group's generation."""
        async with self._broker.connection() as connection:
            self._seen_generation = await connection.fetchval(
                "SELECT broker.heartbeat($1, $2, $3, $4, $5)",
                self._group,
                self._worker,
                self._session,
                list(self._topics),
                self._patience,
            )
        self._beat_at = self._runtime.monotonic()

    async def poll(self, max_records: int, wait_seconds: float = 0.0) -> list[Batch]:
        """See Subscription.poll. Woken by the publisher; while the server cannot tell, waits 10 ms between
        looks, up to 100 ms when nothing comes."""
        until = self._runtime.monotonic() + wait_seconds
        pause = IDLE_SECONDS[0]
        while True:
            await self._join()
            batches = await self._fetch(max_records) if self._due() else []
            left = until - self._runtime.monotonic()
            if batches or left <= 0:
                return batches
            before, self._listening = (
                self._listening,
                await self._broker.listen(self._published, self._topics),
            )
            if self._listening is not None and self._listening is not before:
                self._more = True  # what came before the session listened rang nobody
                continue
            if self._listening is not None:
                beat = self._beat_at + HEARTBEAT_SECONDS - self._runtime.monotonic()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(IDLE_SECONDS[0], min(left, beat))):
                        await self._published.wait()
            else:
                await self._runtime.sleep(min(pause, left))
                pause = min(IDLE_SECONDS[1], pause * 1.25)

    async def _join(self) -> None:
        if self._runtime.monotonic() - self._beat_at >= HEARTBEAT_SECONDS:
            await self.beat()
            await self._trim()
        if self._joined_generation == self._seen_generation:
            return
        generation, share, starts = await self._share()
        before, self._assigned = self._assigned, frozenset()
        self._positions, self._fetched = {}, {}
        if before:
            await self._listener.on_revoked(sorted(before))
        self._joined_generation = generation
        self._assigned = share
        self._positions = {partition: starts[partition] for partition in sorted(share)}
        self._more = True
        await self._listener.on_assigned(sorted(share))

    async def _share(self) -> tuple[int, frozenset[Partition], dict[Partition, int]]:
        """One snapshot: the generation, our part of it, and where each partition begins."""
        async with (
            self._broker.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            generation = await connection.fetchval(
                "SELECT generation FROM broker.groups WHERE name = $1", self._group
            )
            members = await connection.fetch(
                "SELECT worker, topics FROM broker.members WHERE grp = $1", self._group
            )
            rows = await connection.fetch("SELECT topic, part, first_offset FROM broker.partitions")
        counts: dict[str, int] = {}
        for row in rows:
            counts[row["topic"]] = counts.get(row["topic"], 0) + 1
        shares = assign([(row["worker"], row["topics"]) for row in members], counts)
        starts = {Partition(row["topic"], row["part"]): row["first_offset"] for row in rows}
        return generation, shares.get(self._worker, frozenset()), starts

    def _due(self) -> bool:
        """Whether anything may have come since the last look: a publisher told us, the last look left something,
        or nobody would tell us."""
        if (
            self._fetched
            or self._more
            or self._published.is_set()
            or self._listening is None
            or self._listening.is_closed()
        ):
            return True
        return self._runtime.monotonic() - self._fetched_at >= HEARTBEAT_SECONDS

    async def _fetch(self, max_records: int) -> list[Batch]:
        """What lies here from the last look at the server, else what a look brings: no partition is looked for
        again before all have had their turn."""
        if not self._fetched:
            await self._look(max_records)
        batches: list[Batch] = []
        left = max_records
        for partition in list(self._fetched):
            if not left:
                break
            records = self._fetched.pop(partition)
            if len(records) > left:
                self._fetched[partition] = records[left:]
                records = records[:left]
            self._positions[partition] = records[-1].offset + 1
            batches.append(Batch(partition, tuple(records)))
            left -= len(records)
        return batches

    async def _look(self, max_records: int) -> None:
        """Batches of every partition that has any, whole, but for what was read of the first."""
        self._published.clear()
        self._fetched_at = self._runtime.monotonic()
        self._more = False
        if not self._positions:
            return
        self._more = True  # unless the look succeeds and leaves nothing
        async with self._broker.connection() as connection:
            rows = await connection.fetch(
                _POLL,
                [partition.topic for partition in self._positions],
                [partition.part for partition in self._positions],
                list(self._positions.values()),
                max_records,
            )
        more: dict[Partition, bool] = {}
        for topic, part, next_offset, count, at, packed, ends in rows:
            partition = Partition(topic, part)
            wanted, first = self._positions[partition], next_offset - count
            records = unpack(packed, first, at)
            self._fetched.setdefault(partition, []).extend(records[max(0, wanted - first) :])
            more[partition] = next_offset < ends
        self._more = any(more.values())

    async def _trim(self) -> None:
        if self._runtime.monotonic() - self._trimmed_at >= TRIM_SECONDS:
            self._trimmed_at = self._runtime.monotonic()
            logger.info("broker: %d records past their retention dropped", await self._broker.trim())

    def assignment(self) -> frozenset[Partition]:
        """See Subscription.assignment."""
        return self._assigned

    async def seek(self, partition: Partition, offset: int) -> None:
        """See Subscription.seek."""
        if partition in self._positions:
            self._positions[partition] = offset
            self._fetched.pop(partition, None)
            self._more = True

    async def bounds(self) -> Mapping[Partition, tuple[int, int]]:
        """See Subscription.bounds."""
        found = await self._broker.bounds(sorted({partition.topic for partition in self._assigned}))
        return {partition: found[partition] for partition in sorted(self._assigned) if partition in found}

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Subscription.commit."""
        if not offsets:
            return
        async with self._broker.connection() as connection:
            reached = sorted(offsets.items())
            await connection.execute(
                _COMMIT,
                self._group,
                [partition.topic for partition, _ in reached],
                [partition.part for partition, _ in reached],
                [offset for _, offset in reached],
            )

    async def close(self) -> None:
        """See Subscription.close."""
        self._broker.deaf(self._published)
        revoked, self._assigned = sorted(self._assigned), frozenset()
        self._positions, self._fetched = {}, {}
        if revoked:
            with contextlib.suppress(Exception):
                await self._listener.on_revoked(revoked)
        with contextlib.suppress(BrokerUnavailableError, PublishRejectedError):
            async with self._broker.connection() as connection:
                await connection.execute(
                    "SELECT broker.leave($1, $2, $3)", self._group, self._worker, self._session
                )


async def _as_it_is(_session: Any) -> None:
    """A session goes back without another round trip: nothing is set on one, and what was left open in it the
    driver has ended already."""
