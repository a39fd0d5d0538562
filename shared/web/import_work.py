"""Working off staged imports: slice by slice, each one transaction with its outcomes.

A slice's commands, its outcomes and its going are one transaction: a crash resumes at the first slice that is
left, and no row needs a key to be done once. A slice with a bad row is set apart in halves, until that row stands
alone.

Several slices are under way at once: while one commits, the next is opened and its commands made, be it of the same
job or of another that has its turn. A job's slices reach the writer in the order of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.eventstore.commands import Command, Done, Outcome, Page, StaleCheckpointError, Store
from shared.eventstore.database import Connection, Database, Row
from shared.eventstore.log import Failure
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.observability.logging import bound, logger
from shared.security.vault import Vault
from shared.web.import_rows import (
    ImportContext,
    ImportKind,
    JobContext,
    row_context,
    row_outcome,
    slice_metadata,
)
from shared.web.tables import IMPORT_CHUNKS, IMPORT_ROWS, IMPORTS
from shared.web.uploads import RawRow, StagedRow

UNDER_WAY = 3
"""Slices in hand at once, and those a job has in turn."""

AT_A_STRETCH = 24
"""Slices of all jobs, until others are looked for."""

IDLE_SECONDS = 1.0
"""How often a worker looks for what another process accepted; its own uploads wake it."""

LEAVE_SECONDS = 5.0
"""How long a job is left to a process that was faster at all of its slices; it may have died."""

_opened = msgspec.json.Decoder(list[StagedRow]).decode

log = logger(__name__)


class ImportWork:
    """What works jobs off; one per process, told by ``Imports`` what was accepted here."""

    def __init__(
        self,
        *,
        store: Store,
        database: Database,
        vault: Vault,
        clock: Clock,
        runtime: Runtime,
        failure: Callable[[Exception], Failure],
    ) -> None:
        self._store = store
        self._database = database
        self._vault = vault
        self._clock = clock
        self._runtime = runtime
        self._failure = failure
        self._kinds: dict[str, ImportKind[Any]] = {}
        self._accepted = asyncio.Event()
        self._recorded = asyncio.Event()
        self._failures = 0
        self._day: Callable[[], Awaitable[object]] | None = None
        self._works = False
        self._running: set[str] = set()
        """Jobs accepted where they are worked off that are not done yet: nobody need ask for them."""
        self._elsewhere: dict[str, float] = {}
        """Jobs another process is at, and until when they are left to it."""
        self.busy = False

    def register(self, kind: ImportKind[Any]) -> None:
        """Make a kind known; names are unique."""
        if kind.name in self._kinds:
            raise ValueError(f"two import kinds are named {kind.name}")
        self._kinds[kind.name] = kind

    @property
    def kinds(self) -> tuple[ImportKind[Any], ...]:
        """What can be handed in, in the order it was made known."""
        return tuple(self._kinds.values())

    def failures(self) -> int:
        """Rounds that failed since the last that went well: the database was away, full, or does not write."""
        return self._failures

    # -- working --------------------------------------------------------------------------------------

    async def run_once(self) -> int:
        """One slice of every running job; answers how many rows had their turn, 0 when none is left. Raises the
        first job's error when all have had theirs."""
        turns, _ = await self._slices(1, 1)
        for turn in turns:
            if turn.fault is not None:
                raise turn.fault
        return sum(turn.done for turn in turns)

    async def _slices(self, under_way: int, stretch: int) -> tuple[list[_Turns], bool]:
        """Slices of the running jobs in turn, and whether any job is left; one job's error leaves its slice for the
        next round and does not hold up the others. Ends early when another file has come."""
        known = frozenset(self._running)
        async with self._database.read() as connection:
            jobs = await connection.execute(
                sa.select(IMPORTS)
                .where(IMPORTS.c.state == "RUNNING")
                .order_by(IMPORTS.c.created_at, IMPORTS.c.import_id)
            )
        if jobs and self._day is not None:
            await self._day()
        self._running -= known - {job.import_id for job in jobs}
        now = self._runtime.monotonic()
        mine = [job for job in jobs if self._elsewhere.get(job.import_id, now) <= now]
        turns = [_Turns(job) for job in mine if job.kind in self._kinds]
        hand = _Hand(under_way, self._note)
        try:
            left = stretch
            while any(turn.goes_on for turn in turns):
                for turn in turns:
                    if turn.goes_on:
                        await turn.guard(self._advance(turn, hand, under_way))
                        left -= under_way
                if left <= 0 or self._accepted.is_set():
                    break
            await hand.empty()
        finally:
            await hand.drop()
        return turns, sum(turn.ended for turn in turns) < len(jobs)

    async def run(self, day: Callable[[], Awaitable[object]] | None = None) -> None:
        """Work for ever; what fails comes again in the next round. day: asks for the day before files are judged,
        where another process begins it."""
        self._works, self._day = True, day
        while True:
            self._accepted.clear()
            self.busy = True
            try:
                turns, left = await self._slices(UNDER_WAY, AT_A_STRETCH)
                failed = any(turn.fault is not None for turn in turns)
                self._failures = self._failures + 1 if failed else 0
                if not failed:
                    self._leave(turn.job.import_id for turn in turns if turn.lost and not turn.won)
                self.busy = left and any(turn.done for turn in turns)
            except Exception as fault:
                log.error("imports_failed", exc_info=fault)
                self._failures += 1
                self.busy = False
            if not self.busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._accepted.wait(), IDLE_SECONDS)

    def _leave(self, import_ids: Iterable[str]) -> None:
        """Jobs that another process was faster at in all: two at one file would decide each slice twice."""
        now = self._runtime.monotonic()
        still = {job: until for job, until in self._elsewhere.items() if until > now}
        self._elsewhere = still | dict.fromkeys(import_ids, now + LEAVE_SECONDS)

    async def _advance(self, turn: _Turns, hand: _Hand, count: int) -> None:
        """The job's next slices: each is handed to the writer as soon as its commands are made, and the one after
        it is made while it commits. Ends early when one was not done."""
        job = turn.job
        chunks = await self._chunks(job, turn.after, count)
        if not chunks and turn.after < 0:
            async with self._database.begin() as connection:
                await self._finish(connection, job.import_id)
        for chunk in chunks:
            await hand.room()
            if not turn.goes_on:
                return
            opened = self._vault.open_bytes(bytes(chunk.sealed), _place(job.import_id, chunk.chunk))
            rows, turn.after = _opened(opened), chunk.chunk
            piece = _Slice(chunk.chunk, chunk.sealed)
            judged = await self._judge(turn, piece, rows)
            hand.take(turn, len(rows), self._runtime.start(judged, "import-slice"))
        turn.goes_on = turn.goes_on and len(chunks) == count

    def _note(self) -> None:
        """A slice was recorded: whoever waits for its outcomes looks."""
        recorded, self._recorded = self._recorded, asyncio.Event()
        recorded.set()

    async def _chunks(self, job: Row, after: int, count: int) -> Sequence[Row]:
        """Slices of a job that are left behind one, in the order of the file."""
        c = IMPORT_CHUNKS.c
        async with self._database.read() as connection:
            return await connection.execute(
                sa.select(IMPORT_CHUNKS)
                .where(c.import_id == job.import_id, c.chunk > after)
                .order_by(c.chunk)
                .limit(count)
            )

    async def _judge(
        self, turn: _Turns, piece: _Slice, rows: Sequence[StagedRow]
    ) -> Coroutine[Any, Any, int]:
        """Make the slice's commands; answers what executes them and says how much was done."""
        job = turn.job
        try:
            commands, refused = await self._commands(self._kinds[job.kind], job, rows)
        except (OverloadedError, ProblemError):
            raise
        except Exception as fault:
            if self._failure(fault) is not Failure.COMMAND:
                raise
            return self._set_apart(turn, piece, rows, fault)
        ended = False

        async def record(connection: Connection, answers: Sequence[Outcome]) -> None:
            nonlocal ended
            judged = refused | dict(zip(commands, answers, strict=True))
            ended = await self._record(connection, job, piece.number, dict(sorted(judged.items())))

        async def execute() -> int:
            page = Page(
                list(commands.values()),
                partial(_take, job, piece),
                keyed=False,
                settled=record,
                placed=partial(_reached, job.import_id),
            )
            try:
                await self._store.execute_page(page)
            except StaleCheckpointError:
                turn.lost = True
                return 1  # another process was faster, or a slice before this one is not done
            except (OverloadedError, ProblemError):
                raise
            except Exception as fault:
                failure = self._failure(fault)
                too_much = failure is Failure.BUSY and len(rows) > 1
                if failure is not Failure.COMMAND and not too_much:
                    raise
                return await self._set_apart(turn, piece, rows, fault)
            turn.won = True
            if ended:
                self._running.discard(job.import_id)
                turn.ended = True
            return len(rows)

        return execute()

    async def _commands(
        self, kind: ImportKind[Any], job: Row, rows: Sequence[StagedRow]
    ) -> tuple[dict[int, Command], dict[int, Outcome]]:
        """Commands and refusals by row number."""
        context = msgspec.json.decode(job.context, type=JobContext)
        refused: dict[int, Outcome] = {}
        parsed: dict[int, Any] = {}
        parse = kind.parser().row
        for raw in rows:
            row = parse(raw)
            if isinstance(row, Refusal):
                refused[raw.number] = row
            else:
                parsed[raw.number] = row
        prepared = None
        if kind.prepare is not None and parsed:
            async with self._database.read() as connection:
                prepared = await kind.prepare(list(parsed.values()), connection)
        commands: dict[int, Command] = {}
        metadata = slice_metadata(job, context)
        for number, row in parsed.items():
            command = _command_of(kind, row, row_context(job, context, metadata, number, prepared))
            if isinstance(command, Refusal):
                refused[number] = command
            else:
                commands[number] = command
        return commands, refused

    async def _set_apart(
        self, turn: _Turns, piece: _Slice, rows: Sequence[StagedRow], fault: Exception
    ) -> int:
        """One of the rows is bad, or all together are too much: each half is tried by itself, and a row that
        stands alone has failed. Answers how many rows had their turn."""
        job, middle = turn.job, len(rows) // 2
        async with self._database.begin() as connection:
            if not await _take(job, piece, connection):
                turn.lost = True
                return 1
            turn.won = True
            if middle:
                halves = [self._chunk(job.import_id, part) for part in (rows[:middle], rows[middle:])]
                await connection.upsert(IMPORT_CHUNKS, halves)
            else:
                log.error("import_row_failed", exc_info=fault)
                await self._record(connection, job, piece.number, {rows[0].number: Refusal("ROW_FAILED")})
        return len(rows)

    async def _record(
        self, connection: Connection, job: Row, number: int, outcomes: Mapping[int, Outcome]
    ) -> bool:
        """What became of a slice, in the transaction that makes it so; its rows are taken already. True when it
        was the job's last."""
        accepted = [outcome for outcome in outcomes.values() if isinstance(outcome, Done)]
        answers = self._kinds[job.kind].answers
        judged = [row_outcome(place, outcome, answers) for place, outcome in outcomes.items()]
        row = {
            "import_id": job.import_id,
            "chunk": number,
            "last_row": max(outcomes),
            "refused": len(outcomes) - len(accepted),
            "outcomes": msgspec.json.encode(judged),
        }
        await connection.upsert(IMPORT_ROWS, [row])
        c = IMPORTS.c
        remaining = sa.exists().where(IMPORT_CHUNKS.c.import_id == job.import_id)
        changed = await connection.execute(
            sa.update(IMPORTS)
            .where(c.import_id == job.import_id)
            .values(
                rows_accepted=c.rows_accepted + len(accepted),
                rows_refused=c.rows_refused + len(outcomes) - len(accepted),
                state=sa.case((remaining, c.state), else_="DONE"),
                finished_at=sa.case((remaining, c.finished_at), else_=self._clock.now()),
            )
            .returning(c.state)
        )
        return bool(changed) and changed[0].state == "DONE"

    async def _finish(self, connection: Connection, import_id: str) -> None:
        """Done, when no slice is left."""
        remaining = sa.exists().where(IMPORT_CHUNKS.c.import_id == import_id)
        await connection.execute(
            sa.update(IMPORTS)
            .where(IMPORTS.c.import_id == import_id, IMPORTS.c.state == "RUNNING", ~remaining)
            .values(state="DONE", finished_at=self._clock.now())
        )

    def _chunk(self, import_id: str, rows: Sequence[RawRow | StagedRow]) -> dict[str, Any]:
        """A sealed slice, numbered by its first row."""
        first = rows[0].number
        sealed = self._vault.seal_bytes(msgspec.json.encode(rows), _place(import_id, first))
        return {"import_id": import_id, "chunk": first, "first_row": first, "sealed": sealed}


class _Turns:
    """A job's part of a round: how far it has come, what was done of it, and what stopped it. won, lost: a slice
    was done here, or somebody else had done it; ended: its last one was."""

    def __init__(self, job: Row) -> None:
        self.job = job
        self.after = -1
        """The last slice that was handed over."""
        self.done = 0
        self.goes_on = True
        self.won = self.lost = self.ended = False
        self.fault: Exception | None = None

    async def guard(self, step: Awaitable[object]) -> None:
        """An error ends the job's part of the round, and no other's."""
        with bound(correlation=self.job.correlation):
            try:
                await step
            except Exception as fault:
                log.error("import_slice_failed", kind=self.job.kind, exc_info=fault)
                self.fault = self.fault or fault
                self.goes_on = False


class _Hand:
    """The slices of all jobs that are under way, oldest first."""

    def __init__(self, size: int, recorded: Callable[[], None]) -> None:
        self._size = size
        self._recorded = recorded
        self._slices: deque[tuple[_Turns, int, asyncio.Task[int]]] = deque()

    def take(self, turn: _Turns, rows: int, task: asyncio.Task[int]) -> None:
        """One more."""
        self._slices.append((turn, rows, task))

    async def room(self) -> None:
        """Until another fits in."""
        while len(self._slices) >= self._size:
            await self._settle()

    async def empty(self) -> None:
        """Until all are done."""
        while self._slices:
            await self._settle()

    async def _settle(self) -> None:
        turn, rows, task = self._slices[0]

        async def finished() -> None:
            done = await task
            turn.done += done
            turn.goes_on = turn.goes_on and done == rows
            self._recorded()

        await turn.guard(finished())
        self._slices.popleft()

    async def drop(self) -> None:
        """What is left when the round ends with an error: let go, and waited for."""
        for _, _, task in self._slices:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in self._slices), return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Slice:
    """A staged slice: the number of its first row, and its rows as they were sealed. Half of a slice that was
    set apart begins with the same row, but was sealed anew."""

    number: int
    sealed: bytes


async def _take(job: Row, piece: _Slice, connection: Connection) -> bool:
    """A slice off those that are left; False when it is gone or was set apart, or when one before it is left:
    rows have their turn in the order of the file."""
    c, before = IMPORT_CHUNKS.c, IMPORT_CHUNKS.alias("before")
    earlier = sa.exists().where(before.c.import_id == job.import_id, before.c.chunk < piece.number)
    mine = sa.delete(IMPORT_CHUNKS).where(
        c.import_id == job.import_id, c.chunk == piece.number, c.sealed == piece.sealed, ~earlier
    )
    return bool(await connection.execute(mine.returning(c.chunk)))


async def _reached(import_id: str, connection: Connection, position: int) -> None:
    """How far readers must be to have seen the job's slices; they are committed in order."""
    c = IMPORTS.c
    await connection.execute(sa.update(IMPORTS).where(c.import_id == import_id).values(log_position=position))


def _command_of(kind: ImportKind[Any], row: Any, context: ImportContext) -> Command | Refusal:
    """The row's command; a row it cannot be made for is that row's matter alone."""
    try:
        return kind.to_command(row, context)
    except Exception as fault:
        log.error("import_row_failed", exc_info=fault)
        return Refusal("ROW_FAILED")


def _place(import_id: str, chunk: int) -> str:
    return f"import:{import_id}:{chunk}"
