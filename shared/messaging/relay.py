"""The relay: our log, in position order, to the broker. The only publisher of a service.

A page of events becomes records, the broker acknowledges all of them, then the cursor moves by
compare-and-set. Any failure before that publishes the same page again, which consumers recognise by
position. So every fact is published at least once and none is passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from shared.contracts.topics import TOPICS
from shared.eventstore import dead_letters
from shared.eventstore.log import Log
from shared.eventstore.tail import PageReader
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import Clock, Runtime
from shared.messaging import letters, relay_letters
from shared.messaging.broker import (
    Broker,
    BrokerError,
    BrokerUnavailableError,
    Outgoing,
    PublishRejectedError,
    RecordTooLargeError,
)
from shared.messaging.cursor import CursorLostError, move_cursor, read_cursor
from shared.messaging.leadership import Leadership
from shared.messaging.metrics import MessagingMetrics, NoMetrics
from shared.messaging.publication import Publications

logger = logging.getLogger(__name__)

PAGE = 1000
CURSOR = "relay"
ATTEMPTS = 3
"""How often a page, and then a single event, may be refused before it is judged."""

LAG_SECONDS = 1.0
IDLE_SECONDS = (0.01, 0.1)
RETRY_SECONDS = (0.1, 5.0)


class NotLeadingError(Exception):
    """Another process relays this log: ask that one."""


class Relay:
    """See the module. One per log leads; any number may stand by."""

    def __init__(
        self,
        *,
        log: Log,
        broker: Broker,
        publications: Publications,
        leadership: Leadership,
        clock: Clock,
        runtime: Runtime,
        metrics: MessagingMetrics | None = None,
        tail: PageReader | None = None,
        page_size: int = PAGE,
    ) -> None:
        self._log = log
        self._tail = tail or log
        self._database = log.database
        self._broker = broker
        self._publications = publications
        self._leadership = leadership
        self._clock = clock
        self._runtime = runtime
        self._metrics = metrics or NoMetrics()
        self._page_size = page_size
        self._names = log.types.names(publications.handles)
        self._replayer = relay_letters.RelayReplayer(log, broker, publications, clock)
        self._cursor: int | None = None  # as stored; None: ask the database
        self._scanned = 0  # may be ahead of it: events nothing is published for
        self._blocked: set[relay_letters.Key] = set()
        self._rejections = 0
        self._lag_asked_at = runtime.monotonic()
        self._stored_at = self._lag_asked_at - LAG_SECONDS
        self._publishing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._idle = IDLE_SECONDS[0]

    def wake(self, _position: int = 0) -> None:
        """Something was appended: a listener for the writer (``Writer.subscribe``)."""
        self._woken.set()

    async def run_once(self) -> int:
        """Publish one page. Answers how many log rows the cursor moved over; 0 when idle or not leading.

        Raises BrokerError (the page comes again) and CursorLostError (we no longer lead).
        """
        async with self._publishing:
            return await self._step()

    async def _step(self) -> int:
        if not await self._leadership.hold():
            self._cursor = None
            return 0
        if self._cursor is None:
            await self._load()
        cursor = self._cursor or 0
        if self._blocked:
            await self._drain(cursor)
        start = max(cursor, self._scanned)
        page = await self._tail.read_page(start, self._page_size, self._names)
        if page.scanned == start:
            self._metrics.relay_lag_seconds(0.0)
            if start > cursor and self._runtime.monotonic() - self._stored_at >= LAG_SECONDS:
                await self._publish_page(cursor, start, ())
            return 0
        if page.events or page.scanned - cursor >= self._page_size:
            await self._report_lag(start)
            await self._publish_page(cursor, page.scanned, page.events)
        self._scanned = page.scanned
        return page.scanned - start

    def position(self) -> int:
        """Up to where this relay has published; the stored cursor may lag behind over other events."""
        return max(self._cursor or 0, self._scanned) if self._cursor is not None else 0

    async def _load(self) -> None:
        async with self._database.begin() as connection:
            self._cursor = self._scanned = await read_cursor(connection, CURSOR)
            self._blocked = await letters.blocked_keys(connection, relay_letters.KIND)
        self._metrics.relay_position(self._cursor)

    async def _report_lag(self, cursor: int) -> None:
        """Age of the oldest event not published; asked once a second at most."""
        now = self._runtime.monotonic()
        if now - self._lag_asked_at >= LAG_SECONDS:
            self._lag_asked_at = now
            self._metrics.relay_lag_seconds(await self._log.lag_seconds(cursor))

    async def _publish_page(self, cursor: int, to: int, page: Sequence[Recorded[Any]]) -> None:
        outbound = await self._publications.outgoing(page, self._database)
        blocked = set(self._blocked)
        screened = relay_letters.screen(outbound, page, blocked)
        try:
            await self._publish(screened, blocked)
        except PublishRejectedError:
            self._rejections += 1
            if self._rejections < ATTEMPTS:
                raise
            logger.error("relay: a page after position %d is refused again and again: splitting it", cursor)
            await self._publish_apart(screened, blocked)
        async with self._database.begin() as connection:
            await move_cursor(connection, CURSOR, cursor, to)
            await relay_letters.store(connection, screened, self._clock, self._runtime)
        self._moved(to, screened, blocked)

    def _moved(self, to: int, screened: relay_letters.Screened, blocked: set[relay_letters.Key]) -> None:
        self._cursor, self._rejections = to, 0
        self._stored_at = self._runtime.monotonic()
        self._blocked = blocked
        self._metrics.relay_position(to)
        for key, position, code in screened.dead:
            logger.error("relay: event at position %d is a dead letter of %s: %s", position, key[0], code)
            self._metrics.dead_letters(key[0], sum(name == key[0] for name, _ in blocked))

    async def _publish(self, screened: relay_letters.Screened, blocked: set[relay_letters.Key]) -> None:
        """All of the page at once, without what is too large for the broker."""
        while screened.records:
            try:
                await self._broker.publish(screened.records)
                return
            except RecordTooLargeError as error:
                blocked |= screened.refuse(error.indexes, relay_letters.TOO_LARGE)

    async def _publish_apart(self, screened: relay_letters.Screened, blocked: set[relay_letters.Key]) -> None:
        """Halves, down to the single record that is refused alone; order is kept per key."""
        waiting = [screened.records]
        refused: set[relay_letters.Key] = set()
        while waiting:
            part = [record for record in waiting.pop() if relay_letters.key_of(record) not in refused]
            if not part or await self._accepted(part, ATTEMPTS if len(part) == 1 else 1):
                continue
            if len(part) == 1:
                refused |= screened.refuse([screened.records.index(part[0])], relay_letters.REJECTED)
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
        blocked |= refused

    async def _accepted(self, part: list[Outgoing], attempts: int) -> bool:
        for attempt in range(attempts):
            try:
                await self._broker.publish(part)
                return True
            except PublishRejectedError:
                if attempt + 1 < attempts:
                    await self._runtime.sleep(RETRY_SECONDS[0])
        return False

    async def _drain(self, cursor: int) -> None:
        """Publish, in lanes and in order, what is parked behind letters that are closed."""
        for name in sorted({name for name, _ in self._blocked}):
            heads = await self._heads(name)
            while heads:
                for head in heads:
                    await self._release(head, cursor)
                heads = await self._heads(name)
        async with self._database.read() as connection:
            self._blocked = await letters.blocked_keys(connection, relay_letters.KIND)

    async def _heads(self, name: str) -> list[dead_letters.Parked]:
        async with self._database.read() as connection:
            heads = await dead_letters.parked_heads(connection, relay_letters.KIND, name)
        return sorted(heads, key=lambda head: (head.position, head.part))

    async def _release(self, head: dead_letters.Parked, cursor: int) -> None:
        """One parked event out; what fails again becomes the letter the rest of its key waits behind."""
        code = await self._replayer.publish(head.name, head.key, head.position)
        async with self._database.begin() as connection:
            await move_cursor(connection, CURSOR, cursor, cursor)
            await dead_letters.unpark(connection, head)
            if code:
                again = relay_letters.Screened([], dead=[((head.name, head.key), head.position, code)])
                await relay_letters.store(connection, again, self._clock, self._runtime)

    async def resend(self, from_position: int, to_position: int | None = None) -> int:
        """Publish again what lies in [from, to], at most up to the cursor: a broker that lost data gets it back.

        Nothing else is published meanwhile: a consumer set to where the resend begins (logged per partition)
        sees the whole log in order. Consumers skip what they had. Answers the number of records.
        Raises NotLeadingError (another process relays) and BrokerError (begin again).
        """
        async with self._publishing:
            if not await self._leadership.hold():
                raise NotLeadingError
            if self._cursor is None:
                await self._load()
            cursor = self._cursor or 0
            until = cursor if to_position is None else min(to_position, cursor)
            after, sent, begun = from_position - 1, 0, False
            while after < until:
                page = await self._log.read_page(after, self._page_size, self._names, until)
                if page.scanned == after:
                    break
                outbound = await self._publications.outgoing(page.events, self._database)
                screened = relay_letters.screen(outbound, page.events, set(self._blocked))
                if screened.records and not begun:
                    begun = True
                    await self._log_starts()
                await self._publish(screened, set(self._blocked))
                sent, after = sent + len(screened.records), page.scanned
            return sent

    async def _log_starts(self) -> None:
        topics = [topic.name for topic in TOPICS if topic.service == self._publications.identity.service]
        for partition, (_, end) in (await self._broker.bounds(topics)).items():
            logger.warning("relay: the resend to %s[%d] begins at offset %d", *partition, end)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until ``stop``. Survives brokers and databases that come and go."""
        failures = 0
        while not stop.is_set():
            try:
                moved = await self.run_once()
            except asyncio.CancelledError:
                raise
            except CursorLostError:
                logger.warning("relay: another relay moved the cursor; standing by")
                await self._step_down()
            except BrokerError as error:
                failures += 1
                self._report_failure(error, failures)
            except Exception:  # the database may be away; the relay must outlive it
                failures += 1
                logger.exception("relay: failed")
                self._cursor = None
            else:
                failures = 0
                self._metrics.relay_failures(0)
                if moved:
                    self._idle = IDLE_SECONDS[0]
                    continue
            await self._pause(failures)
        await self._leadership.release()

    def _report_failure(self, error: BrokerError, failures: int) -> None:
        self._metrics.relay_failures(failures)
        if failures & (failures - 1) == 0:  # 1, 2, 4, 8 …: no flood while the broker is away
            away = isinstance(error, BrokerUnavailableError)
            logger.warning("relay: broker %s (%d in a row)", "away" if away else "refused", failures)

    async def _step_down(self) -> None:
        self._cursor = None
        await self._leadership.release()

    async def _pause(self, failures: int) -> None:
        """Idle: until the writer wakes us or we get curious. After failures: exponential."""
        if failures:
            await self._runtime.sleep(min(RETRY_SECONDS[1], RETRY_SECONDS[0] * 2 ** min(failures - 1, 10)))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._idle):
                await self._woken.wait()
            self._idle = IDLE_SECONDS[0]
        self._woken.clear()
        self._idle = min(IDLE_SECONDS[1], self._idle * 1.5)
