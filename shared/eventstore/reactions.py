"""Our facts and received messages to our commands, exactly once: commands commit with the checkpoint."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from shared.eventstore.checkpoints import Checkpoint, move_checkpoints, read_checkpoints
from shared.eventstore.commands import Command, Outcome, Page, StaleCheckpointError, Store
from shared.eventstore.database import Connection, ReadOnDemand
from shared.eventstore.dead_letters import (
    NOT_FOUND,
    REACTION,
    REPLAYED,
    DeadLetter,
    Parked,
    add_dead_letters,
    blocked_keys,
    error_code,
    park,
    parked_count,
    parked_heads,
    resolve,
    unpark,
)
from shared.eventstore.log import Failure, Log, TailPage
from shared.eventstore.projections import Announces, Wake
from shared.eventstore.reacted import (
    BEHIND,
    SLICE,
    Reacted,
    Slice,
    UnkeyedFanOutError,
    slices,
    traced,
    with_event,
)
from shared.eventstore.tail import PageReader
from shared.eventstore.tailing import AnswersRefusals, PreparedReaction, Reaction, Recorded, Wait
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.observability.logging import logger

LOGGER = logger(__name__)

QUIET_SECONDS = 1.5
"""How long nothing may have come before a reaction stores that it passed over events that are not its own: while
a log grows, each of twenty reactions would commit again and again what saves a short read after a restart. An event
of its own that asks for nothing is stored with its page: looked at again later, it might ask for something."""

LOOK_AGAIN = 40
"""Passes after which a runner that knows of nothing parked asks again: another process may have parked."""

TOGETHER = 4
"""Slices in the writer's hands at once: while one commits, the next is decided, and the page after it read."""

UNPREPARED: Any = object()

BAD_FIX = Refusal(
    code="DEAD_LETTER_BAD_FIX",
    rule="DEAD_LETTER",
    field="payload",
    message="更正内容不符合事件格式。 The fix does not have the event's shape.",
)


class PreviewStore(Store, Protocol):
    """A store that can also tell what a page would do (``Writer``)."""

    async def preview_page(self, page: Page) -> list[Outcome]:
        """Decide a page and write nothing."""
        ...


class ReactionRunner:
    """Steps one reaction.

    follows: position of the read models the reaction looks at (``ProjectionRunner.position``); events after
    it wait, so that a reaction never sees a read model older than the fact it reacts to.
    """

    def __init__(
        self,
        *,
        reaction: Reaction,
        log: Log,
        store: PreviewStore,
        clock: Clock,
        runtime: Runtime,
        follows: Callable[[], int] | None = None,
        announcer: Announces | None = None,
        tail: PageReader | None = None,
        page: int = 200,
        poll_seconds: float = 0.25,
    ) -> None:
        self.name = reaction.name
        self._checkpoint = f"reaction:{reaction.name}"
        self._reaction = reaction
        self._prepares = reaction if isinstance(reaction, PreparedReaction) else None
        self._types = log.types.names(reaction.handles)
        self._log = log
        self._tail = tail or log
        self._store = store
        self._clock = clock
        self._runtime = runtime
        self._follows = follows
        self._page = page
        self._most = getattr(reaction, "page", page)  # a reaction of large facts commits fewer at once
        self._under_way: deque[tuple[asyncio.Task[list[Outcome]], int]] = deque()  # slices, where each ends
        self._alone = False  # slices go one after another, until the one that failed is found
        self._wake = Wake(runtime, poll_seconds)
        self._here: Checkpoint | None = None  # as stored once nothing is under way; None: ask the database
        self._scanned = 0  # may be ahead of it: events of other types are passed over in memory
        self._done = 0  # up to here nothing is left to react to (what is parked aside)
        self._passes = 0
        self._failures = 0
        self._working = False
        self._moved_at = float("-inf")
        self._waiting = True  # whether anything may be parked; asked again now and then
        self._clear = False  # whether, as of the checkpoint, no key is blocked
        self._retried: tuple[int, dt.date] | None = None
        if announcer is not None:
            announcer.subscribe(self._wake.ring)

    @property
    def busy(self) -> bool:
        """Whether a step is under way, or was asked for."""
        return self._working or self._wake.pending

    def waits(self) -> bool:
        """Whether something may be parked that any new event may set going."""
        return self._waiting

    def failures(self) -> int:
        """Steps that failed since the last that went well: the database was away, full, or does not write."""
        return self._failures

    def stand_by(self) -> None:
        """Another process takes its turn: what was known here is asked for again at the next."""
        self._here, self._scanned, self._failures = None, 0, 0
        self._waiting, self._working = True, False

    def position(self) -> int:
        """Up to where this runner has reacted; its checkpoint may lag behind over events of other types."""
        return self._done

    async def run(self, stop: asyncio.Event) -> None:
        """Step until told to stop. An exception of the database is reported and outlived."""
        async with self._wake.rung_by(stop):
            try:
                while not stop.is_set():
                    self._working = True
                    try:
                        handled = await self._step()
                        self._failures = 0
                    except Exception as error:  # noqa: BLE001 - reported and outlived
                        self._failures += 1
                        LOGGER.error("reader_failed", reader=self._checkpoint, error=error_code(error))
                        handled = 0
                    if not handled:
                        self._working = False
                        await self._wake.wait()
            finally:
                await self._let_go()

    async def run_once(self) -> int:
        """Whatever waits and can go on, then one page, to its commit; answers how many events moved."""
        handled = await self._step()
        if self._under_way:
            await self._guarded(self._settle(0))
        return handled

    async def _step(self) -> int:
        """A page; its slices may still be under way."""
        return await self._guarded(self._pass())

    async def _pass(self) -> int:
        return await self._retry() + await self._advance()

    async def _guarded(self, work: Coroutine[Any, Any, int]) -> int:
        """After an error nothing known here counts any more."""
        try:
            return await work
        except BaseException as error:
            self._here, self._scanned = None, 0
            await self._let_go(cancel=isinstance(error, asyncio.CancelledError))
            if isinstance(error, StaleCheckpointError):
                return 0
            raise

    # -- the page ------------------------------------------------------------------------------------------

    async def _advance(self) -> int:
        if self._here is None:
            async with self._log.database.read() as connection:
                self._here = (await read_checkpoints(connection, [self._checkpoint]))[self._checkpoint]
                self._clear = not await blocked_keys(connection, REACTION, self.name)
        start = max(self._here.position, self._scanned)
        until = self._follows() if self._follows is not None else None
        page = await self._tail.read_page(start, self._page, self._types, until)
        if len(page.events) > self._most:
            page = TailPage(page.events[: self._most], page.events[self._most - 1].position)
        if not page.events and self._under_way:
            return await self._settle(0)
        self._scanned = page.scanned
        if not page.events:
            behind = page.scanned - self._here.position
            if behind >= self._page or (behind and self._quiet(page.scanned > start)):
                # A long way, or nothing new: store that events of other types were passed over.
                await self._commit(Checkpoint(page.scanned), [])
            self._done = page.scanned
            return int(page.scanned > start)
        groups = slices(await self._react_all(page.events))
        ends = [group.items[-1].recorded.position for group in groups[:-1]] + [page.scanned]
        if not self._alone and all(group.plain for group in groups):
            for group, end in zip(groups, ends, strict=True):
                await self._hand_over(group, Checkpoint(end))
        elif self._under_way:
            self._scanned = start  # looked at again when they are committed: no slice of commands alone
            await self._settle(0)
        else:
            for group, end in zip(groups, ends, strict=True):
                await self._commit_slice(group, end)
            self._alone = False
            self._done = page.scanned
        return len(page.events)

    async def _hand_over(self, group: Slice, after: Checkpoint) -> None:
        """A slice to the writer while those before it are decided or committed.

        Each moves the checkpoint from where the one before leaves it: behind one that fails none is written.
        """
        here = self._here
        if here is None:  # one before it was of a bad command
            return
        effects = self._effects(here, after, group.items)
        work = self._execute(group.items, effects, keyed=here.step > 0)
        self._under_way.append((self._runtime.start(work, f"{self._checkpoint}-slice"), after.position))
        self._here = after
        await self._settle(TOGETHER - 1)

    async def _settle(self, left: int) -> int:
        """Wait until so many slices are under way at most; a bad command is looked for by one slice after another."""
        while len(self._under_way) > left:
            work, position = self._under_way.popleft()
            try:
                await work
            except Exception as error:
                if not self._is_bad_command(error):
                    raise
                self._here, self._scanned, self._alone = None, 0, True
                await self._let_go()
                break
            self._done = max(self._done, position)
        return 1

    async def _let_go(self, *, cancel: bool = False) -> None:
        """Nothing is under way any more, whatever became of it."""
        works = [work for work, _ in self._under_way]
        self._under_way.clear()
        for work in works if cancel else ():
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    def _quiet(self, moved: bool) -> bool:
        """Whether nothing has come for a while."""
        now = self._runtime.monotonic()
        if moved:
            self._moved_at = now
        return now - self._moved_at >= QUIET_SECONDS

    async def _react_all(self, events: Sequence[Recorded[Any]]) -> list[Reacted]:
        keys = {recorded.position: self._key(recorded) for recorded in events}
        connection = ReadOnDemand(self._log.database)
        reacted: list[Reacted] = []
        try:
            blocked: set[str] = set()
            if not self._clear:
                blocked = await blocked_keys(connection, REACTION, self.name, set(keys.values()))
            prepared = await self._prepare(events, connection)
            for recorded in events:
                key = keys[recorded.position]
                if key in blocked:
                    reacted.append(Reacted(recorded, parked=self._behind(recorded, key)))
                    continue
                item = await self._react(recorded, key, connection, None, prepared)
                reacted.append(item)
                if item.parked is not None or item.letter is not None:
                    blocked.add(key)
                if item.letter is not None:
                    await connection.close()  # what raised may have spoilt the transaction
        except BaseException as error:
            await connection.close(error)
            raise
        await connection.close()
        return reacted

    async def _prepare(self, events: Sequence[Recorded[Any]], connection: ReadOnDemand) -> Any:
        """What the reaction looks up for the page; UNPREPARED: each event looks for itself."""
        if self._prepares is None:
            return UNPREPARED
        try:
            return await self._prepares.prepare(events, connection)
        except Exception as error:
            if self._log.failure(error) is not Failure.COMMAND:
                raise
            LOGGER.warning("reaction_unprepared", reader=self._checkpoint, error=error_code(error))
            await connection.close()
            return UNPREPARED

    def _key(self, recorded: Recorded[Any]) -> str:
        """The reaction's key; an event whose key cannot be told blocks its stream."""
        try:
            return self._reaction.key(recorded)
        except Exception:  # noqa: BLE001 - react will raise too, and the event becomes a dead letter
            return recorded.stream

    async def _react(
        self,
        recorded: Recorded[Any],
        key: str,
        connection: Connection,
        waiting: Parked | None,
        prepared: Any = UNPREPARED,
    ) -> Reacted:
        try:
            if prepared is not UNPREPARED and self._prepares is not None:
                answer = self._prepares.answer(recorded, prepared)
            else:
                answer = await self._reaction.react(recorded, connection)
            if not isinstance(answer, Wait):
                if len(answer) > SLICE and any(command.key is None for command in answer):
                    raise UnkeyedFanOutError
                return Reacted(recorded, commands=traced(answer, recorded))
        except Exception as error:
            if self._log.failure(error) is not Failure.COMMAND:
                raise
            return Reacted(recorded, letter=self._letter(recorded, key, error_code(error)))
        today = self._clock.today()
        deadline = waiting.deadline if waiting is not None else None
        if deadline is not None and today > deadline:
            return Reacted(recorded, letter=self._letter(recorded, key, f"WAITED:{answer.reason}"))
        return Reacted(
            recorded,
            parked=Parked(
                kind=REACTION,
                name=self.name,
                key=key,
                position=recorded.position,
                parked_at=self._clock.now(),
                reason=answer.reason,
                deadline=deadline or today + dt.timedelta(days=answer.days),
            ),
        )

    async def _commit_slice(self, group: Slice, to: int) -> None:
        """Commit one slice and move to ``to``; a bad command costs its own event only."""
        last = Checkpoint(to)
        try:
            if group.size() > SLICE:
                await self._fan_out(last, group.items[0])
            else:
                await self._commit(last, group.items, keyed=self._here is None or self._here.step > 0)
        except Exception as error:
            if not self._is_bad_command(error):
                raise
            if len(group.items) == 1:
                recorded = group.items[0].recorded
                letter = self._letter(recorded, self._key(recorded), error_code(error))
                await self._commit(last, [Reacted(recorded, letter=letter)])
            else:
                await self._one_by_one(group, to)

    async def _one_by_one(self, group: Slice, to: int) -> None:
        blocked: set[str] = set()
        ends = [item.recorded.position for item in group.items[:-1]] + [to]
        for end, item in zip(ends, group.items, strict=True):
            key = self._key(item.recorded)
            behind = key in blocked and item.letter is None
            parked = Reacted(item.recorded, parked=self._behind(item.recorded, key)) if behind else item
            await self._commit_slice(Slice([parked]), end)
            async with self._log.database.read() as connection:
                blocked |= await blocked_keys(connection, REACTION, self.name, {key})

    async def _fan_out(self, last: Checkpoint, item: Reacted) -> None:
        """More commands than fit a transaction: slices under keys, so a restart may begin again."""
        assert self._here is not None
        for start in range(0, len(item.commands), SLICE):
            part = Reacted(item.recorded, commands=item.commands[start : start + SLICE])
            done = start + SLICE >= len(item.commands)
            await self._commit(last if done else Checkpoint(self._here.position, self._here.step + 1), [part])

    async def _commit(self, after: Checkpoint, items: Sequence[Reacted], *, keyed: bool = True) -> None:
        """Commands and checkpoint together. Not ``keyed``: no slice of the page was committed before it."""
        before = self._here
        if before is None or before == after:
            return
        await self._execute(items, self._effects(before, after, items), keyed=keyed)
        self._here = after
        self._waiting = self._waiting or any(item.parked is not None for item in items)
        self._clear = self._clear and not any(item.parked or item.letter for item in items)

    def _effects(
        self, before: Checkpoint, after: Checkpoint, items: Sequence[Reacted]
    ) -> Callable[[Connection], Awaitable[bool]]:
        """What commits with the commands: the checkpoint, and what is set aside."""

        async def effects(connection: Connection) -> bool:
            if not await move_checkpoints(connection, {self._checkpoint: (before, after)}):
                return False
            await self._set_aside(connection, items)
            return True

        return effects

    async def _set_aside(self, connection: Connection, items: Sequence[Reacted]) -> None:
        await park(connection, [item.parked for item in items if item.parked is not None])
        letters = [item.letter for item in items if item.letter is not None]
        await add_dead_letters(connection, letters)
        for letter in letters:
            LOGGER.error("dead_letter", reader=self._checkpoint, position=letter.position, error=letter.code)

    async def _execute(
        self, items: Sequence[Reacted], effects: Any, *, keyed: bool = True, dry_run: bool = False
    ) -> list[Outcome]:
        commands = [command for item in items for command in item.commands]
        if not commands and not dry_run:
            async with self._log.database.begin() as connection:
                if not await effects(connection):
                    raise StaleCheckpointError
            return []
        page = Page(commands, effects=effects, keyed=keyed, on_refusal=self._on_refusal(items))
        return await (self._store.preview_page(page) if dry_run else self._store.execute_page(page))

    def _on_refusal(self, items: Sequence[Reacted]) -> Callable[[Command, Refusal], Command | None] | None:
        reaction = self._reaction
        if not isinstance(reaction, AnswersRefusals):
            return None
        origin = {id(command): item.recorded for item in items for command in item.commands}

        def answer(command: Command, refusal: Refusal) -> Command | None:
            return reaction.on_refusal(origin[id(command)], command, refusal)

        return answer

    def _is_bad_command(self, error: Exception) -> bool:
        if isinstance(error, (OverloadedError, ProblemError, StaleCheckpointError)):
            return False
        return self._log.failure(error) is Failure.COMMAND

    # -- what waits ----------------------------------------------------------------------------------------

    async def _retry(self) -> int:
        """Parked events: those behind a resolved letter at once, waiting ones when something changed."""
        self._passes += 1
        if not self._waiting and self._passes % LOOK_AGAIN:
            return 0
        moved = 0
        changed = (await self._log.head(), self._clock.today())
        while True:
            async with self._log.database.read() as connection:
                self._waiting = bool(await parked_count(connection, REACTION, self.name))
                heads = await parked_heads(connection, REACTION, self.name) if self._waiting else []
            ready = [row for row in heads if row.deadline is None or self._retried != changed]
            resolved = sum([await self._retry_one(row) for row in ready])
            moved += resolved
            if ready:
                self._retried = changed
            if not resolved:
                return moved

    async def _retry_one(self, row: Parked) -> bool:
        """True when the row moved: its commands were committed, or it became a dead letter."""
        recorded = await self._read_one(row.position)
        async with self._log.database.read() as connection:
            item = await self._react(recorded, row.key, connection, row)
        if item.parked is not None:
            if row.deadline is None:
                async with self._log.database.begin() as connection:
                    await park(connection, [item.parked])
            return False
        try:
            await self._take_up(row, item)
        except Exception as error:
            if not self._is_bad_command(error):
                raise
            letter = self._letter(recorded, row.key, error_code(error))
            await self._take_up(row, Reacted(recorded, letter=letter))
        return True

    async def _take_up(self, row: Parked, item: Reacted) -> None:
        async def effects(connection: Connection) -> bool:
            if not await unpark(connection, row):
                return False
            await self._set_aside(connection, [item])
            return True

        await self._execute_sliced(item, effects)

    async def _execute_sliced(self, item: Reacted, effects: Any) -> list[Outcome]:
        """Effects go with the last slice. The others have keys: a crash in between repeats them safely."""
        outcomes: list[Outcome] = []
        rest = list(item.commands)
        while len(rest) > SLICE:
            outcomes += await self._store.execute_page(Page(rest[:SLICE]))
            rest = rest[SLICE:]
        return outcomes + await self._execute([Reacted(item.recorded, rest)], effects)

    async def _read_one(self, position: int) -> Recorded[Any]:
        page = await self._log.read_page(position - 1, 1, self._types)
        return page.events[0]

    def _behind(self, recorded: Recorded[Any], key: str) -> Parked:
        return Parked(
            kind=REACTION,
            name=self.name,
            key=key,
            position=recorded.position,
            parked_at=self._clock.now(),
            reason=BEHIND,
        )

    def _letter(self, recorded: Recorded[Any], key: str, code: str) -> DeadLetter:
        return DeadLetter(
            id=self._runtime.new_id(),
            kind=REACTION,
            name=self.name,
            key=key,
            position=recorded.position,
            code=code,
            created_at=self._clock.now(),
        )

    # -- dead letters (dead_letters.Replayer) --------------------------------------------------------------

    def check_fix(self, _letter: DeadLetter, payload: bytes) -> None:
        """See Replayer.check_fix: the payload must decode as one of the handled types."""
        for cls in self._reaction.handles:
            try:
                msgspec.json.decode(payload, type=cls)
            except msgspec.DecodeError:
                continue
            return
        raise ProblemError(BAD_FIX, status=422)

    async def replay(self, letter: DeadLetter, *, by: str, dry_run: bool) -> Sequence[Outcome]:
        """See Replayer.replay. A new exception leaves the letter open and is raised."""
        recorded = await self._read_one(letter.position)
        if letter.fixed is not None:
            event = msgspec.json.decode(letter.fixed, type=type(recorded.event))
            recorded = with_event(recorded, event)
        async with self._log.database.read() as connection:
            answer = await self._reaction.react(recorded, connection)
        if isinstance(answer, Wait):
            raise ProblemError(Refusal(code="DEAD_LETTER_STILL_WAITS", rule=answer.reason), status=409)

        async def effects(connection: Connection) -> bool:
            return await resolve(connection, letter.id, REPLAYED, by, self._clock.now())

        item = Reacted(recorded, answer)
        try:
            if dry_run:
                return await self._execute([item], effects, dry_run=True)
            return await self._execute_sliced(item, effects)
        except StaleCheckpointError:
            raise ProblemError(NOT_FOUND, status=404) from None
