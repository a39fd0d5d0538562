"""The consumer: other services' facts, in pages, into our own log. One per worker process.

A page's blind appends, offsets, watermarks, private rows and dead letters are one transaction, whose first
statement is the fence. Read models and commands follow from our own log, never from the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from shared.eventstore.commands import Page, StaleCheckpointError, Store
from shared.eventstore.database import Connection, Database
from shared.eventstore.dead_letters import MESSAGE
from shared.kernel.clock import Clock, Runtime
from shared.messaging import fence, letters
from shared.messaging.broker import Batch, Broker, BrokerError, Partition, Record, Subscription
from shared.messaging.intake import Intake
from shared.messaging.metrics import MessagingMetrics, NoMetrics
from shared.messaging.page import Held, IntakePage, MessageKey
from shared.messaging.progress import Progress
from shared.observability.tracing import Tracing

logger = logging.getLogger(__name__)

PAGE = 500
"""Messages per transaction: rows under one append lock (singles wait behind a page)."""

RETRY_SECONDS = (0.1, 5.0)


class Consumer:
    """See the module.

    group: the service's name. worker: unique per process. reclaim_seconds: how long after losing a partition
    that is still assigned to us we claim it again (the group may not have told us yet that it is not).
    """

    def __init__(
        self,
        *,
        group: str,
        worker: str,
        broker: Broker,
        store: Store,
        database: Database,
        intake: Intake,
        clock: Clock,
        runtime: Runtime,
        metrics: MessagingMetrics | None = None,
        tracing: Tracing | None = None,
        page_size: int = PAGE,
        reclaim_seconds: float = 1.0,
        commit_seconds: float = 1.0,
    ) -> None:
        self.group = group
        self.intake = intake
        self._worker = worker
        self._broker = broker
        self._store = store
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._metrics = metrics or NoMetrics()
        self._tracing = tracing
        self._page_size = page_size
        self._reclaim_seconds = reclaim_seconds
        self._commit_seconds = commit_seconds
        self._lock = asyncio.Lock()
        self._subscription: Subscription | None = None
        self._held: dict[Partition, Held] = {}
        self._sought: dict[Partition, int] = {}
        self._out_of_range: set[Partition] = set()
        self._blocked: set[MessageKey] = set()
        self.replayer = letters.MessageReplayer(database, store, intake, clock, runtime)
        self._lost_at = 0.0
        self._drained_at = 0.0
        self._uncommitted: dict[Partition, int] = {}
        self._committed_at = runtime.monotonic()
        self._progress = Progress(runtime, self._metrics)

    # -- the group tells us ---------------------------------------------------------------------------

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """See broker.Listener. The lock lets a page in hand commit first."""
        async with self._lock:
            for partition in partitions:
                self._forget(partition)

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """See broker.Listener. What fails here is claimed later: a listener's exception is only logged."""
        async with self._lock:
            try:
                await self._claim(partitions)
            except Exception as error:  # noqa: BLE001 - see the docstring
                logger.warning("consumer: claim failed: %s", type(error).__name__)
                self._lost_at = self._runtime.monotonic()

    def _forget(self, partition: Partition) -> None:
        self._held.pop(partition, None)
        self._sought.pop(partition, None)
        self._out_of_range.discard(partition)
        self._uncommitted.pop(partition, None)

    def _forget_all(self) -> None:
        for partition in list(self._held):
            self._forget(partition)
        self._lost_at = self._runtime.monotonic()

    async def _claim(self, partitions: Sequence[Partition]) -> None:
        subscription = self._subscription
        wanted = [p for p in partitions if subscription is not None and p in subscription.assignment()]
        if subscription is None or not wanted:
            return
        bounds = await subscription.bounds()
        starts = {partition: bounds[partition][0] for partition in wanted if partition in bounds}
        if not starts:
            return
        owner = self._runtime.new_id()
        async with self._database.begin() as connection:
            offsets = await fence.claim(connection, self.group, starts, owner)
            marks = await fence.marks_of(connection, self.group, starts)
            self._blocked = await letters.blocked_keys(connection, MESSAGE)
        for partition, offset in offsets.items():
            first, end = bounds[partition]
            self._progress.claimed(partition)
            if not first <= offset <= end:
                self._refuse(partition, offset, first, end)
                continue
            self._out_of_range.discard(partition)
            self._held[partition] = Held(owner, offset, marks[partition])
            await subscription.seek(partition, offset)
        await self._report_letters()

    def _refuse(self, partition: Partition, offset: int, first: int, end: int) -> None:
        """The broker lost data, or dropped it unread: going on would skip facts silently."""
        if partition not in self._out_of_range:
            logger.error(
                "consumer: %s[%d] stopped: next offset %d is outside %d..%d; resend, then reset the offset",
                *partition,
                offset,
                first,
                end,
            )
        self._out_of_range.add(partition)

    # -- one page -------------------------------------------------------------------------------------

    async def run_once(self, wait_seconds: float = 0.0) -> int:
        """Poll and book one page. Answers the number of messages that moved an offset.

        Raises BrokerError, and what the store raises; then all partitions are claimed again.
        """
        if self._subscription is None:
            self._subscription = await self._broker.subscribe(
                self.group, self.intake.topics, self._worker, self
            )
        await self._reclaim(self._subscription)
        handled = await self._drain()
        batches = await self._subscription.poll(self._page_size, wait_seconds)
        if batches:
            async with self._lock:
                handled += await self._book(self._subscription, batches)
        await self._commit_offsets(self._subscription)
        return handled

    async def _drain(self) -> int:
        """Parked messages whose letter is closed come before new ones of their key."""
        now = self._runtime.monotonic()
        if not self._blocked or now - self._drained_at < self._reclaim_seconds:
            return 0
        self._drained_at = now
        drained = await self.replayer.drain()
        async with self._lock, self._database.read() as connection:
            self._blocked = await letters.blocked_keys(connection, MESSAGE)
        await self._report_letters()
        return drained

    async def _reclaim(self, subscription: Subscription) -> None:
        missing = subscription.assignment() - self._held.keys()
        if missing and self._runtime.monotonic() - self._lost_at >= self._reclaim_seconds:
            async with self._lock:
                self._lost_at = self._runtime.monotonic()
                await self._claim(sorted(subscription.assignment() - self._held.keys()))

    async def _book(self, subscription: Subscription, batches: Sequence[Batch]) -> int:
        page = IntakePage(blocked=set(self._blocked), tracing=self._tracing)
        for batch in batches:
            held = self._held.get(batch.partition)
            records = () if held is None else await self._expected(subscription, batch, held)
            if held is not None and records:
                page.take(self.intake, batch.partition, held, records)
        if not page.moves:
            return 0
        lost: set[Partition] = set()
        stale: list[bool] = []

        async def effects(connection: Connection) -> bool:
            lost.clear()
            lost.update(await fence.move(connection, self.group, page.moves, page.marks))
            if lost:
                return False
            if not await letters.still_blocked(connection, MESSAGE, page.behind - page.newly_blocked()):
                stale.append(True)
                return False
            await self._write(connection, page)
            return True

        try:
            await self._store.execute_page(Page((), effects, page.blind))
        except StaleCheckpointError:
            await self._rolled_back(subscription, page, lost, blocked_changed=bool(stale))
            return 0
        except BaseException:
            self._forget_all()  # the commit may have happened: ask the database
            raise
        await self._booked(page)
        return page.records

    async def _expected(self, subscription: Subscription, batch: Batch, held: Held) -> tuple[Record, ...]:
        """The records that follow what we have; none when the broker started elsewhere (it is put right).

        Offsets may have gaps. But what starts elsewhere even after a seek may also be a broker that lost what
        we want, and quietly went on with what it has: the partition stops.
        """
        partition, wanted = batch.partition, held.next_offset
        records = tuple(record for record in batch.records if record.offset >= wanted)
        if records and records[0].offset == wanted:
            return records
        if self._sought.get(partition) == wanted:
            first, end = (await subscription.bounds()).get(partition, (wanted, wanted))
            if not first <= wanted <= end:
                self._forget(partition)
                self._refuse(partition, wanted, first, end)
                return ()
            if records:
                missing = records[0].offset - wanted
                logger.info("consumer: %s[%d] has a gap of %d offsets", *partition, missing)
                self._metrics.messages_skipped(partition.topic, "gap", missing)
                return records
        self._sought[partition] = wanted
        await subscription.seek(partition, wanted)
        return ()

    async def _write(self, connection: Connection, page: IntakePage) -> None:
        table = self.intake.private_table
        if page.private and table is not None:
            await connection.upsert(table, page.private)
        await letters.store(connection, page, self._clock, self._runtime)

    async def _rolled_back(
        self, subscription: Subscription, page: IntakePage, lost: set[Partition], *, blocked_changed: bool
    ) -> None:
        """Nothing of the page happened. Lost partitions are somebody else's; the others come again."""
        for partition in lost:
            logger.info("consumer: %s[%d] is owned by another worker", *partition)
            self._forget(partition)
        if lost:
            self._lost_at = self._runtime.monotonic()
        if blocked_changed:
            async with self._database.read() as connection:
                self._blocked = await letters.blocked_keys(connection, MESSAGE)
        for partition in page.moves:
            held = self._held.get(partition)
            if held is not None:
                self._sought.pop(partition, None)
                await subscription.seek(partition, held.next_offset)

    async def _booked(self, page: IntakePage) -> None:
        for partition, moved in page.moves.items():
            held = self._held.get(partition)
            if held is not None and held.owner == moved.owner:
                held.next_offset = moved.to
                held.marks.update(page.marks[partition])
                self._uncommitted[partition] = moved.to
        self._progress.booked(page.newest)
        for span, name, attributes in page.spans:
            span.end(name, attributes)
        self._blocked = page.blocked
        for (topic, reason), count in page.skipped.items():
            self._metrics.messages_skipped(topic, reason, count)
        for stopped in page.dead:
            logger.error(
                "consumer: %s[%d] offset %d is a dead letter: %s",
                *stopped.partition,
                stopped.record.offset,
                stopped.code,
            )
        if page.dead or page.parked:
            await self._report_letters()

    async def _report_letters(self) -> None:
        async with self._database.read() as connection:
            dead, parked = await letters.counts(connection, MESSAGE)
        for topic in self.intake.topics:
            self._metrics.dead_letters(topic, dead.get(topic, 0))
            self._metrics.parked(topic, parked.get(topic, 0))

    async def _commit_offsets(self, subscription: Subscription) -> None:
        """Afterwards, and only so that the broker's own tools see where we are."""
        now = self._runtime.monotonic()
        if not self._uncommitted or now - self._committed_at < self._commit_seconds:
            return
        offsets, self._uncommitted, self._committed_at = self._uncommitted, {}, now
        with contextlib.suppress(BrokerError):
            await subscription.commit(offsets)

    # -- lag and health -------------------------------------------------------------------------------

    async def lag(self) -> Mapping[Partition, int]:
        """Messages the broker holds for us beyond what we booked; reported as metrics too.

        A partition that is assigned but not held counts from its first kept offset. Raises BrokerError.
        """
        subscription = self._subscription
        if subscription is None:
            return {}
        behind: dict[Partition, int] = {}
        for partition, (first, end) in (await subscription.bounds()).items():
            held = self._held.get(partition)
            behind[partition] = end - (held.next_offset if held is not None else first)
        self._progress.looked(behind, self._held.keys())
        return behind

    def stalled(self, behind: Mapping[Partition, int], seconds: float) -> list[Partition]:
        """Partitions with messages waiting that have not moved for so long (stopped ones aside)."""
        moving = {part: messages for part, messages in behind.items() if part not in self._out_of_range}
        return self._progress.stalled(moving, seconds)

    @property
    def stopped(self) -> frozenset[Partition]:
        """Partitions whose offset the broker no longer has (see ``fence.reset_offset``)."""
        return frozenset(self._out_of_range)

    async def leave(self) -> None:
        """Leave the group; the next ``run_once`` joins again."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(BrokerError):
                await subscription.commit(self._uncommitted)
            await subscription.close()
        self._forget_all()
        self._lost_at = 0.0
