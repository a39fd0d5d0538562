"""Bulk imports (批量导入): a file is staged, answered 202, and worked off in slices beside the singles.

The staged rows are sealed with the service's key and deleted slice by slice; what stays is the outcome per
row: number, the id its command answered, code, rule, field. A slice's commands, its outcomes and its going
are one transaction: a crash resumes at the first slice that is left, and no row needs a key to be done once.
A slice with a bad row is set apart in halves, until that row stands alone.

Several slices of a job are under way at once: while one commits, the next is opened and its commands made. They
reach the writer in the order of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.eventstore.commands import Command, Done, Outcome, Page, StaleCheckpointError, Store
from shared.eventstore.database import Connection, Database, Row
from shared.eventstore.log import Failure
from shared.kernel.clock import Clock, Runtime
from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.observability.logging import bound, logger
from shared.security.principal import Principal
from shared.security.vault import Vault
from shared.web.import_rows import (
    ImportContext,
    ImportKind,
    JobContext,
    RowOutcome,
    parse_row,
    row_context,
    row_outcome,
)
from shared.web.reasons import file_fault
from shared.web.spool import Spool
from shared.web.tables import IMPORT_CHUNKS, IMPORT_ROWS, IMPORTS
from shared.web.uploads import MAX_ROWS, RawRow, UploadFormat, read_rows

SLICE = 500
UNDER_WAY = 3
"""Slices of a job in hand at once."""

STAGED = 4
"""Slices staged by one statement: while they are read and sealed nobody else has a turn."""

LARGE_BYTES = 1 << 18
"""Of a spreadsheet; a smaller one is unpacked at once."""

IDLE_SECONDS = 1.0
"""How often a worker looks for what another process accepted; its own uploads wake it."""

LOOK_SECONDS, LOOKS = 0.01, 50
"""How often a caller that waits for a job is looked after, and after how many looks the database is asked."""

__all__ = ["ImportContext", "ImportKind", "ImportStatus", "Imports", "Upload"]

log = logger(__name__)


class ImportStatus(msgspec.Struct, frozen=True):
    """The body of ``GET /imports/{id}``. state: RUNNING or DONE."""

    import_id: str
    kind: str
    state: str
    rows: int
    accepted: int
    refused: int
    log_position: int
    failures: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An accepted upload; replayed: the same file under the same key came before."""

    import_id: str
    replayed: bool = False


class Imports:
    """Accepts uploads and works them off; one per process. Kinds are registered by ``describe``."""

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
        self._works = False
        self._running: set[str] = set()
        """Jobs accepted where they are worked off that are not done yet: nobody need ask for them."""
        self._ended: set[str] = set()
        self._left = False
        """Jobs that ended in this round, and whether any other was seen in it."""
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

    # -- accepting ------------------------------------------------------------------------------------

    async def accept(
        self,
        kind: ImportKind[Any],
        body: Spool,
        upload_format: UploadFormat,
        principal: Principal,
        key: str,
        correlation: str,
        campaign: str = "",
        parameters: Mapping[str, str] | None = None,
    ) -> Upload | Refusal:
        """Stage a file as a job. Refusals: IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_IN_USE (another file
        while the key's import still runs). Raises ProblemError for a file that is none."""
        context = JobContext(principal.divisions, dict(parameters or {}), campaign)
        digest = hashlib.sha256(msgspec.json.encode(context, order="deterministic") + body.digest).digest()
        known = await self._known(principal.organisation, kind.name, key, digest)
        if known is not None:
            return known
        rows = await self._opened(body, upload_format, kind.headings())
        job = {
            "import_id": self._runtime.random_id(),
            "kind": kind.name,
            "organisation": principal.organisation,
            "actor": principal.client_id,
            "idempotency_key": key,
            "digest": digest,
            "correlation": correlation,
            "context": msgspec.json.encode(context).decode(),
            "state": "RUNNING",
            "rows_total": 0,
            "rows_accepted": 0,
            "rows_refused": 0,
            "log_position": 0,
            "created_at": self._clock.now(),
            "finished_at": None,
        }
        try:
            async with self._database.begin() as connection:
                total = await self._stage(connection, str(job["import_id"]), rows)
                if not total:
                    job |= {"state": "DONE", "finished_at": self._clock.now()}
                await connection.execute(sa.insert(IMPORTS), [job | {"rows_total": total}])
        except sa.exc.IntegrityError:
            raced = await self._known(principal.organisation, kind.name, key, digest)
            if raced is None:
                raise
            return raced
        if total and self._works:
            self._running.add(str(job["import_id"]))
        self._accepted.set()
        return Upload(str(job["import_id"]))

    async def _opened(
        self, body: Spool, upload_format: UploadFormat, headings: Mapping[str, str]
    ) -> Iterator[RawRow]:
        """The rows, to be read from front to back. A spreadsheet has to be unpacked first, which takes a large
        one seconds: beside the loop."""
        if upload_format is UploadFormat.XLSX and body.size > LARGE_BYTES:
            return await asyncio.to_thread(read_rows, body, upload_format, headings)
        return read_rows(body, upload_format, headings)

    async def _stage(self, connection: Connection, import_id: str, rows: Iterator[RawRow]) -> int:
        """Seal and store the rows slice by slice: a file of a million rows is never in memory as objects. Answers
        how many there are."""
        total = 0
        while parts := list(islice(iter(lambda: list(islice(rows, SLICE)), []), STAGED)):
            await connection.upsert(IMPORT_CHUNKS, [self._chunk(import_id, part) for part in parts])
            total += sum(map(len, parts))
            if total > MAX_ROWS:
                raise file_fault("BODY_TOO_LARGE", "TOO_MANY_ROWS")
        return total

    async def _known(self, organisation: str, kind: str, key: str, digest: bytes) -> Upload | Refusal | None:
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(IMPORTS.c.import_id, IMPORTS.c.digest, IMPORTS.c.state).where(
                    IMPORTS.c.organisation == organisation,
                    IMPORTS.c.kind == kind,
                    IMPORTS.c.idempotency_key == key,
                )
            )
        if not rows:
            return None
        if bytes(rows[0].digest) == digest:
            return Upload(rows[0].import_id, replayed=True)
        running = rows[0].state == "RUNNING"
        return Refusal(
            "IDEMPOTENCY_KEY_IN_USE" if running else "IDEMPOTENCY_KEY_REUSED", field="Idempotency-Key"
        )

    def _chunk(self, import_id: str, rows: Sequence[RawRow]) -> dict[str, Any]:
        """A sealed slice, numbered by its first row."""
        first = rows[0].number
        sealed = self._vault.seal_bytes(msgspec.json.encode(rows), _place(import_id, first))
        return {"import_id": import_id, "chunk": first, "first_row": first, "sealed": sealed}

    # -- asking ---------------------------------------------------------------------------------------

    async def finished(self, import_id: str, organisation: str, seconds: float) -> ImportStatus | None:
        """``status`` as soon as the job is done, at the latest when the seconds are over."""
        until = self._runtime.monotonic() + seconds
        while True:
            looks = 0  # another process may do the work: ask the database now and then
            while import_id in self._running and looks < LOOKS and self._runtime.monotonic() < until:
                looks += 1
                await self._runtime.sleep(LOOK_SECONDS)
            recorded = self._recorded
            status = await self.status(import_id, organisation)
            if status is None or status.state == "DONE" or self._runtime.monotonic() >= until:
                return status
            while not recorded.is_set() and looks < LOOKS and self._runtime.monotonic() < until:
                looks += 1
                await self._runtime.sleep(LOOK_SECONDS)

    async def status(self, import_id: str, organisation: str) -> ImportStatus | None:
        """How far a job is; None when it is not the organisation's."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(IMPORTS).where(
                    IMPORTS.c.import_id == import_id, IMPORTS.c.organisation == organisation
                )
            )
        if not rows:
            return None
        job = rows[0]
        if job.state == "DONE":
            self._running.discard(import_id)
        return ImportStatus(
            job.import_id,
            job.kind,
            job.state,
            job.rows_total,
            job.rows_accepted,
            job.rows_refused,
            job.log_position,
            f"/imports/{job.import_id}/failures.csv",
        )

    async def outcomes(
        self, import_id: str, after: int, limit: int, *, refused: bool = False
    ) -> list[RowOutcome]:
        """Up to ``limit`` judged rows behind a row number, in order; ``refused``: only those."""
        wanted: list[RowOutcome] = []
        async with self._database.read() as connection:
            while len(wanted) < limit:  # a slice that was set apart lies there in parts
                query = (
                    sa.select(IMPORT_ROWS.c.outcomes, IMPORT_ROWS.c.last_row)
                    .where(IMPORT_ROWS.c.import_id == import_id, IMPORT_ROWS.c.last_row > after)
                    .order_by(IMPORT_ROWS.c.chunk)
                    .limit(limit // SLICE + 2)
                )
                if refused:
                    query = query.where(IMPORT_ROWS.c.refused > 0)
                slices = await connection.execute(query)
                if not slices:
                    break
                for packed, last_row in slices:
                    judged = msgspec.json.decode(packed, type=list[RowOutcome])
                    wanted += [row for row in judged if row.row > after and (row.code or not refused)]
                    after = last_row
        return wanted[:limit]

    # -- working --------------------------------------------------------------------------------------

    async def run_once(self) -> int:
        """One slice of every running job; answers how many rows had their turn, 0 when none is left. Raises the
        first job's error when all have had theirs."""
        done, faults = await self._slices(1)
        if faults:
            raise faults[0]
        return done

    async def _slices(self, under_way: int) -> tuple[int, list[Exception]]:
        """One job's error leaves its slice for the next round and does not hold up the others."""
        known = frozenset(self._running)
        async with self._database.read() as connection:
            jobs = await connection.execute(
                sa.select(IMPORTS)
                .where(IMPORTS.c.state == "RUNNING")
                .order_by(IMPORTS.c.created_at, IMPORTS.c.import_id)
            )
        self._running -= known - {job.import_id for job in jobs}
        done, faults = 0, []
        self._ended.clear()
        for job in jobs:
            if job.kind in self._kinds:
                with bound(correlation=job.correlation):
                    try:
                        done += await self._advance(job, under_way)
                    except Exception as fault:
                        log.error("import_slice_failed", kind=job.kind, exc_info=fault)
                        faults.append(fault)
        self._left = any(job.import_id not in self._ended for job in jobs)
        return done, faults

    async def run(self) -> None:
        """Work for ever; what fails comes again in the next round."""
        self._works = True
        while True:
            self._accepted.clear()
            self.busy = True
            try:
                done, _ = await self._slices(UNDER_WAY)
            except Exception as fault:
                log.error("imports_failed", exc_info=fault)
                done = 0
            self.busy = bool(done) and self._left
            if not self.busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._accepted.wait(), IDLE_SECONDS)

    async def _advance(self, job: Row, under_way: int) -> int:
        """The next slices of a job: each is handed to the writer as soon as its commands are made."""
        async with self._database.read() as connection:
            chunks = await connection.execute(
                sa.select(IMPORT_CHUNKS)
                .where(IMPORT_CHUNKS.c.import_id == job.import_id)
                .order_by(IMPORT_CHUNKS.c.chunk)
                .limit(under_way)
            )
        if not chunks:
            async with self._database.begin() as connection:
                await self._finish(connection, job.import_id)
            return 0
        judging: list[asyncio.Task[int]] = []
        try:
            for chunk in chunks:
                opened = self._vault.open_bytes(bytes(chunk.sealed), _place(job.import_id, chunk.chunk))
                rows = msgspec.json.decode(opened, type=list[RawRow])
                judged = await self._judge(
                    self._kinds[job.kind], job, _Slice(chunk.chunk, chunk.sealed), rows
                )
                judging.append(self._runtime.start(judged, "import-slice"))
            done = 0
            for task in judging:
                done += await task
            recorded, self._recorded = self._recorded, asyncio.Event()
            recorded.set()
            return done
        finally:
            for task in judging:
                task.cancel()
            await asyncio.gather(*judging, return_exceptions=True)

    async def _judge(
        self, kind: ImportKind[Any], job: Row, piece: _Slice, rows: Sequence[RawRow]
    ) -> Coroutine[Any, Any, int]:
        """Make the slice's commands; answers what executes them and says how much was done."""
        try:
            commands, refused = await self._commands(kind, job, rows)
        except (OverloadedError, ProblemError):
            raise
        except Exception as fault:
            if self._failure(fault) is not Failure.COMMAND:
                raise
            return self._set_apart(job, piece, rows, fault)
        ended = False

        async def record(connection: Connection, answers: Sequence[Outcome]) -> None:
            nonlocal ended
            judged = refused | dict(zip(commands, answers, strict=True))
            ended = await self._record(connection, job, piece.number, dict(sorted(judged.items())))

        async def execute() -> int:
            page = Page(list(commands.values()), partial(_take, job, piece), keyed=False, settled=record)
            try:
                await self._store.execute_page(page)
            except StaleCheckpointError:
                return 1  # another process was faster, or a slice before this one is not done
            except (OverloadedError, ProblemError):
                raise
            except Exception as fault:
                failure = self._failure(fault)
                too_much = failure is Failure.BUSY and len(rows) > 1
                if failure is not Failure.COMMAND and not too_much:
                    raise
                return await self._set_apart(job, piece, rows, fault)
            if ended:
                self._running.discard(job.import_id)
                self._ended.add(job.import_id)
            return len(rows)

        return execute()

    async def _commands(
        self, kind: ImportKind[Any], job: Row, rows: Sequence[RawRow]
    ) -> tuple[dict[int, Command], dict[int, Outcome]]:
        """Commands and refusals by row number."""
        context = msgspec.json.decode(job.context, type=JobContext)
        refused: dict[int, Outcome] = {}
        parsed: dict[int, Any] = {}
        for raw in rows:
            row = parse_row(raw, kind.row_type)
            if isinstance(row, Refusal):
                refused[raw.number] = row
            else:
                parsed[raw.number] = row
        prepared = None
        if kind.prepare is not None and parsed:
            async with self._database.read() as connection:
                prepared = await kind.prepare(list(parsed.values()), connection)
        commands: dict[int, Command] = {}
        for number, row in parsed.items():
            command = _command_of(kind, row, row_context(job, context, number, row, prepared))
            if isinstance(command, Refusal):
                refused[number] = command
            else:
                commands[number] = command
        return commands, refused

    async def _set_apart(self, job: Row, piece: _Slice, rows: Sequence[RawRow], fault: Exception) -> int:
        """One of the rows is bad, or all together are too much: each half is tried by itself, and a row that
        stands alone has failed. Answers how many rows had their turn."""
        middle = len(rows) // 2
        async with self._database.begin() as connection:
            if not await _take(job, piece, connection):
                return 1
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
        position = max((outcome.position for outcome in accepted), default=0)
        c = IMPORTS.c
        remaining = sa.exists().where(IMPORT_CHUNKS.c.import_id == job.import_id)
        changed = await connection.execute(
            sa.update(IMPORTS)
            .where(c.import_id == job.import_id)
            .values(
                rows_accepted=c.rows_accepted + len(accepted),
                rows_refused=c.rows_refused + len(outcomes) - len(accepted),
                log_position=sa.case((c.log_position < position, position), else_=c.log_position),
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


def _command_of(kind: ImportKind[Any], row: Any, context: ImportContext) -> Command | Refusal:
    """The row's command; a row it cannot be made for is that row's matter alone."""
    try:
        return kind.to_command(row, context)
    except Exception as fault:
        log.error("import_row_failed", exc_info=fault)
        return Refusal("ROW_FAILED")


def _place(import_id: str, chunk: int) -> str:
    return f"import:{import_id}:{chunk}"
