"""Our facts and received messages to our commands, exactly once: commands commit with the checkpoint."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from shared.eventstore.checkpoints import Checkpoint, move_checkpoints, read_checkpoints
from shared.eventstore.commands import Command, Outcome, Page, StaleCheckpointError, Store
from shared.eventstore.database import Connection
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
    parked_heads,
    resolve,
    unpark,
)
from shared.eventstore.log import Failure, Log
from shared.eventstore.projections import Announces, Wake
from shared.eventstore.tailing import AnswersRefusals, Reaction, Recorded, Wait
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.observability.logging import logger

LOGGER = logger(__name__)

SLICE = 500
"""Commands of one transaction; an event that fans out over more is committed in slices."""

BEHIND = "BEHIND"
"""Reason of what parks behind another event of its key."""

BAD_FIX = Refusal(
    code="DEAD_LETTER_BAD_FIX",
    rule="DEAD_LETTER",
    field="payload",
    message="更正内容不符合事件格式。 The fix does not have the event's shape.",
)


class UnkeyedFanOutError(Exception):
    """A reaction answered more commands than fit a slice and did not give each a key."""


class PreviewStore(Store, Protocol):
    """A store that can also tell what a page would do (``Writer``)."""

    async def preview_page(self, page: Page) -> list[Outcome]:
        """Decide a page and write nothing."""
        ...


@dataclass(slots=True)
class _Reacted:
    """One event of a page and what its reaction made of it: commands, or a row to park, or a dead letter."""

    recorded: Recorded[Any]
    commands: Sequence[Command] = ()
    parked: Parked | None = None
    letter: DeadLetter | None = None


@dataclass(slots=True)
class _Slice:
    """Events that commit together."""

    items: list[_Reacted] = field(default_factory=list)

    def commands(self) -> list[Command]:
        return [command for item in self.items for command in item.commands]


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
        page: int = 200,
        poll_seconds: float = 0.25,
    ) -> None:
        self.name = reaction.name
        self._checkpoint = f"reaction:{reaction.name}"
        self._reaction = reaction
        self._types = log.types.names(reaction.handles)
        self._log = log
        self._store = store
        self._clock = clock
        self._runtime = runtime
        self._follows = follows
        self._page = page
        self._wake = Wake(runtime, poll_seconds)
        self._scanned = 0
        self._retried: tuple[int, dt.date] | None = None
        if announcer is not None:
            announcer.subscribe(self._wake.ring)

    async def run(self, stop: asyncio.Event) -> None:
        """Step until told to stop. An exception of the database is reported and outlived."""
        while not stop.is_set():
            try:
                handled = await self.run_once()
            except Exception as error:  # noqa: BLE001 - reported and outlived
                LOGGER.error("reader_failed", reader=self._checkpoint, error=error_code(error))
                handled = 0
            if not handled:
                await self._wake.wait(stop)

    async def run_once(self) -> int:
        """Whatever waits and can go on, then one page; answers how many events moved."""
        try:
            return await self._retry() + await self._advance()
        except StaleCheckpointError:
            return 0

    # -- the page ------------------------------------------------------------------------------------------

    async def _advance(self) -> int:
        async with self._log.database.read() as connection:
            stored = (await read_checkpoints(connection, [self._checkpoint]))[self._checkpoint]
        start = max(stored.position, self._scanned)
        until = self._follows() if self._follows is not None else None
        page = await self._log.read_page(start, self._page, self._types, until)
        if page.scanned <= start:
            # Nothing new: now is the time to store that events of other types were passed over.
            await self._commit(stored, Checkpoint(start, stored.step if start == stored.position else 0), [])
            return 0
        self._scanned = page.scanned
        if not page.events:
            if page.scanned - stored.position >= self._page:
                await self._commit(stored, Checkpoint(page.scanned), [])
            return 1
        try:
            reacted = await self._react_all(page.events)
            here = stored
            for group in _slices(reacted):
                here = await self._commit_slice(here, group)
            await self._commit(here, Checkpoint(page.scanned), [])
        except BaseException:
            self._scanned = 0
            raise
        return len(page.events)

    async def _react_all(self, events: Sequence[Recorded[Any]]) -> list[_Reacted]:
        keys = {recorded.position: self._key(recorded) for recorded in events}
        reacted = []
        async with self._log.database.read() as connection:
            blocked = await blocked_keys(connection, REACTION, self.name, set(keys.values()))
            for recorded in events:
                key = keys[recorded.position]
                if key in blocked:
                    reacted.append(_Reacted(recorded, parked=self._behind(recorded, key)))
                    continue
                item = await self._react(recorded, key, connection, None)
                if item.parked is not None or item.letter is not None:
                    blocked.add(key)
                reacted.append(item)
        return reacted

    def _key(self, recorded: Recorded[Any]) -> str:
        """The reaction's key; an event whose key cannot be told blocks its stream."""
        try:
            return self._reaction.key(recorded)
        except Exception:  # noqa: BLE001 - react will raise too, and the event becomes a dead letter
            return recorded.stream

    async def _react(
        self, recorded: Recorded[Any], key: str, connection: Connection, waiting: Parked | None
    ) -> _Reacted:
        try:
            answer = await self._reaction.react(recorded, connection)
            if not isinstance(answer, Wait):
                if len(answer) > SLICE and any(command.key is None for command in answer):
                    raise UnkeyedFanOutError
                return _Reacted(recorded, commands=answer)
        except Exception as error:
            if self._log.failure(error) is not Failure.COMMAND:
                raise
            return _Reacted(recorded, letter=self._letter(recorded, key, error_code(error)))
        today = self._clock.today()
        deadline = waiting.deadline if waiting is not None else None
        if deadline is not None and today > deadline:
            return _Reacted(recorded, letter=self._letter(recorded, key, f"WAITED:{answer.reason}"))
        return _Reacted(
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

    async def _commit_slice(self, here: Checkpoint, group: _Slice) -> Checkpoint:
        """Commit one slice; a bad command costs its own event only."""
        commands = group.commands()
        last = Checkpoint(group.items[-1].recorded.position)
        try:
            if len(commands) > SLICE:
                return await self._fan_out(here, last, group.items[0])
            await self._commit(here, last, group.items)
        except Exception as error:
            if not self._is_bad_command(error):
                raise
            if len(group.items) == 1:
                item = group.items[0]
                letter = self._letter(item.recorded, self._key(item.recorded), error_code(error))
                stored = await self._stored()
                await self._commit(stored, last, [_Reacted(item.recorded, letter=letter)])
            else:
                await self._one_by_one(here, group)
        return last

    async def _one_by_one(self, here: Checkpoint, group: _Slice) -> None:
        blocked: set[str] = set()
        for item in group.items:
            key = self._key(item.recorded)
            if key in blocked and item.letter is None:
                item = _Reacted(item.recorded, parked=self._behind(item.recorded, key))
            here = await self._commit_slice(here, _Slice([item]))
            async with self._log.database.read() as connection:
                blocked |= await blocked_keys(connection, REACTION, self.name, {key})

    async def _fan_out(self, here: Checkpoint, last: Checkpoint, item: _Reacted) -> Checkpoint:
        """More commands than fit a transaction: slices under keys, so a restart may begin again."""
        for start in range(0, len(item.commands), SLICE):
            part = _Reacted(item.recorded, commands=item.commands[start : start + SLICE])
            done = start + SLICE >= len(item.commands)
            after = last if done else Checkpoint(here.position, here.step + 1)
            await self._commit(here, after, [part])
            here = after
        return here

    async def _stored(self) -> Checkpoint:
        async with self._log.database.read() as connection:
            return (await read_checkpoints(connection, [self._checkpoint]))[self._checkpoint]

    async def _commit(self, before: Checkpoint, after: Checkpoint, items: Sequence[_Reacted]) -> None:
        if before == after:
            return

        async def effects(connection: Connection) -> bool:
            if not await move_checkpoints(connection, {self._checkpoint: (before, after)}):
                return False
            await self._set_aside(connection, items)
            return True

        await self._execute(items, effects)

    async def _set_aside(self, connection: Connection, items: Sequence[_Reacted]) -> None:
        await park(connection, [item.parked for item in items if item.parked is not None])
        letters = [item.letter for item in items if item.letter is not None]
        await add_dead_letters(connection, letters)
        for letter in letters:
            LOGGER.error("dead_letter", reader=self._checkpoint, position=letter.position, error=letter.code)

    async def _execute(
        self, items: Sequence[_Reacted], effects: Any, *, dry_run: bool = False
    ) -> list[Outcome]:
        commands = [command for item in items for command in item.commands]
        if not commands and not dry_run:
            async with self._log.database.begin() as connection:
                if not await effects(connection):
                    raise StaleCheckpointError
            return []
        page = Page(commands, effects=effects, on_refusal=self._on_refusal(items))
        return await (self._store.preview_page(page) if dry_run else self._store.execute_page(page))

    def _on_refusal(self, items: Sequence[_Reacted]) -> Callable[[Command, Refusal], Command | None] | None:
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
        moved = 0
        changed = (await self._log.head(), self._clock.today())
        while True:
            async with self._log.database.read() as connection:
                heads = await parked_heads(connection, REACTION, self.name)
            ready = [row for row in heads if row.deadline is None or self._retried != changed]
            if not ready:
                return moved
            resolved = 0
            for row in ready:
                resolved += await self._retry_one(row)
            moved += resolved
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
            await self._take_up(row, _Reacted(recorded, letter=letter))
        return True

    async def _take_up(self, row: Parked, item: _Reacted) -> None:
        async def effects(connection: Connection) -> bool:
            if not await unpark(connection, row):
                return False
            await self._set_aside(connection, [item])
            return True

        await self._execute_sliced(item, effects)

    async def _execute_sliced(self, item: _Reacted, effects: Any) -> list[Outcome]:
        """Effects go with the last slice. The others have keys: a crash in between repeats them safely."""
        outcomes: list[Outcome] = []
        rest = list(item.commands)
        while len(rest) > SLICE:
            outcomes += await self._store.execute_page(Page(rest[:SLICE]))
            rest = rest[SLICE:]
        return outcomes + await self._execute([_Reacted(item.recorded, rest)], effects)

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
            recorded = _with_event(recorded, event)
        async with self._log.database.read() as connection:
            answer = await self._reaction.react(recorded, connection)
        if isinstance(answer, Wait):
            raise ProblemError(Refusal(code="DEAD_LETTER_STILL_WAITS", rule=answer.reason), status=409)

        async def effects(connection: Connection) -> bool:
            return await resolve(connection, letter.id, REPLAYED, by, self._clock.now())

        item = _Reacted(recorded, answer)
        try:
            if dry_run:
                return await self._execute([item], effects, dry_run=True)
            return await self._execute_sliced(item, effects)
        except StaleCheckpointError:
            raise ProblemError(NOT_FOUND, status=404) from None


def _with_event(recorded: Recorded[Any], event: Any) -> Recorded[Any]:
    return Recorded(
        recorded.position,
        recorded.event_id,
        recorded.era,
        recorded.stream,
        recorded.version,
        event,
        recorded.metadata,
        recorded.occurred_at,
        recorded.recorded_at,
    )


def _slices(reacted: Sequence[_Reacted]) -> list[_Slice]:
    """Whole events, up to SLICE commands together; an event with more stands alone."""
    slices = [_Slice()]
    held = 0
    for item in reacted:
        if slices[-1].items and held + len(item.commands) > SLICE:
            slices.append(_Slice())
            held = 0
        slices[-1].items.append(item)
        held += len(item.commands)
    return [group for group in slices if group.items]
