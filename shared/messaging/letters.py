"""Messages that could not be taken, and the later ones of their key that wait behind them.

Rows, states and operators' calls are those of ``eventstore.dead_letters``. Here is what is a message's own: a
page's letters are written behind the fence, a replay appends the fact, and the consumer drains what was
parked once its key has no open letter. A key is blocked while a letter is open or anything is parked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from shared.eventstore import dead_letters as rows
from shared.eventstore.commands import Done, Outcome, Page, StaleCheckpointError, Store
from shared.eventstore.database import Connection, Database
from shared.eventstore.tables import dead_letters, parked
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import ProblemError, Refusal
from shared.messaging.broker import Record
from shared.messaging.intake import BadMessageError, Fact, Intake
from shared.messaging.page import IntakePage, MessageKey

logger = logging.getLogger(__name__)

BEHIND = "BEHIND_DEAD_LETTER"
DRAIN_PAGE = 500


async def blocked_keys(connection: Connection, kind: str) -> set[MessageKey]:
    """(name, key) of every open letter and everything parked, of one kind."""
    letters = sa.select(dead_letters.c.name, dead_letters.c.key).where(
        dead_letters.c.kind == kind, dead_letters.c.state == rows.OPEN
    )
    waiting = sa.select(parked.c.name, parked.c.key).where(parked.c.kind == kind)
    return {(name, key) for name, key in await connection.execute(sa.union(letters, waiting))}


async def counts(connection: Connection, kind: str) -> tuple[dict[str, int], dict[str, int]]:
    """(open letters, parked) per name."""
    dead = await connection.execute(
        sa.select(dead_letters.c.name, sa.func.count())
        .where(dead_letters.c.kind == kind, dead_letters.c.state == rows.OPEN)
        .group_by(dead_letters.c.name)
    )
    waiting = await connection.execute(
        sa.select(parked.c.name, sa.func.count()).where(parked.c.kind == kind).group_by(parked.c.name)
    )
    return dict(tuple(row) for row in dead), dict(tuple(row) for row in waiting)


async def still_blocked(connection: Connection, kind: str, keys: Iterable[MessageKey]) -> bool:
    """False when one of the keys has become free: its message must not park, nobody would fetch it."""
    wanted: dict[str, set[str]] = {}
    for name, key in keys:
        wanted.setdefault(name, set()).add(key)
    for name in sorted(wanted):
        if await rows.blocked_keys(connection, kind, name, sorted(wanted[name])) != wanted[name]:
            return False
    return True


async def store(connection: Connection, page: IntakePage, clock: Clock, runtime: Runtime) -> None:
    """Write a page's dead letters and parked messages, in the offsets' transaction."""
    now = clock.now()
    if page.dead:
        await rows.add_dead_letters(
            connection,
            [
                rows.DeadLetter(
                    id=runtime.new_id(),
                    kind=rows.MESSAGE,
                    name=stopped.partition.topic,
                    key=stopped.record.key,
                    part=stopped.partition.part,
                    position=stopped.record.offset,
                    code=stopped.code,
                    payload=stopped.record.value,
                    created_at=now,
                )
                for stopped in page.dead
            ],
        )
    if page.parked:
        await rows.park(
            connection,
            [
                rows.Parked(
                    kind=rows.MESSAGE,
                    name=stopped.partition.topic,
                    key=stopped.record.key,
                    part=stopped.partition.part,
                    position=stopped.record.offset,
                    payload=stopped.record.value,
                    reason=BEHIND,
                    parked_at=now,
                )
                for stopped in page.parked
            ],
        )


class MessageReplayer:
    """Replays letters of messages; see ``eventstore.dead_letters.Replayer``."""

    def __init__(
        self, database: Database, store: Store, intake: Intake, clock: Clock, runtime: Runtime
    ) -> None:
        self._runtime = runtime
        self._database = database
        self._store = store
        self._intake = intake
        self._clock = clock

    def register(self, letters: rows.DeadLetters) -> None:
        """For every topic this service takes."""
        for topic in self._intake.topics:
            letters.register(rows.MESSAGE, topic, self)

    def check_fix(self, letter: rows.DeadLetter, payload: bytes, /) -> None:
        """A fix must be a message this service could take: ProblemError with the intake's code."""
        try:
            self._fact(letter.name, letter.key, letter.position, payload)
        except BadMessageError as error:
            raise _problem(error) from None

    def _fact(self, topic: str, key: str, offset: int, payload: bytes) -> Fact:
        record = Record(offset, key, payload, (), 0.0)
        return self._intake.fact(topic, record, self._intake.envelope(payload))

    async def replay(self, letter: rows.DeadLetter, *, by: str, dry_run: bool) -> Sequence[Outcome]:
        """Append the letter's fact and close it; refused with the intake's code when it is still bad."""
        payload = letter.payload if letter.fixed is None else letter.fixed
        try:
            fact = self._fact(letter.name, letter.key, letter.position, payload or b"")
        except BadMessageError as error:
            return [_problem(error).refusal]
        if not dry_run:

            async def close(connection: Connection) -> bool:
                await _write_private(connection, self._intake, [fact])
                return await rows.resolve(connection, letter.id, rows.REPLAYED, by, self._clock.now())

            try:
                await self._store.execute_page(Page((), close, [fact.blind] if fact.blind else []))
            except StaleCheckpointError:
                raise ProblemError(rows.NOT_FOUND, status=404) from None
        return [Done(b"", 200, 0)]

    async def drain(self) -> int:
        """Take what is parked behind letters that are closed, in order. Answers how many left the park.

        One that is bad itself becomes the letter the rest waits behind.
        """
        drained = 0
        for topic in self._intake.topics:
            while True:
                async with self._database.read() as connection:
                    heads = await rows.parked_heads(connection, rows.MESSAGE, topic, DRAIN_PAGE)
                if not heads:
                    break
                try:
                    await self._take(heads)
                except StaleCheckpointError:
                    break  # another worker drains too
                drained += len(heads)
        return drained

    async def _take(self, heads: Sequence[rows.Parked]) -> None:
        facts: list[Fact] = []
        dead: list[rows.DeadLetter] = []
        for head in heads:
            try:
                facts.append(self._fact(head.name, head.key, head.position, head.payload or b""))
            except BadMessageError as error:
                dead.append(self._letter(head, error))

        async def unpark(connection: Connection) -> bool:
            for head in heads:
                if not await rows.unpark(connection, head):
                    return False
            await rows.add_dead_letters(connection, dead)
            await _write_private(connection, self._intake, facts)
            return True

        blind = [fact.blind for fact in facts if fact.blind is not None]
        await self._store.execute_page(Page((), unpark, blind))
        for letter in dead:
            logger.error("consumer: parked message of %s is a dead letter: %s", letter.name, letter.code)

    def _letter(self, head: rows.Parked, error: BadMessageError) -> rows.DeadLetter:
        return rows.DeadLetter(
            id=self._runtime.new_id(),
            kind=rows.MESSAGE,
            name=head.name,
            key=head.key,
            part=head.part,
            position=head.position,
            code=error.code,
            payload=head.payload,
            created_at=self._clock.now(),
        )


async def _write_private(connection: Connection, intake: Intake, facts: Sequence[Fact]) -> None:
    private = [dict(row) for fact in facts for row in fact.private]
    if private and intake.private_table is not None:
        await connection.upsert(intake.private_table, private)


def _problem(error: BadMessageError) -> ProblemError:
    return ProblemError(
        Refusal(
            code=error.code,
            rule="DEAD_LETTER",
            message="该消息仍无法接收。 The message still cannot be taken.",
        ),
        status=422,
    )
