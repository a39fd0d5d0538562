"""Bulk imports (批量导入): a file is staged, answered 202, and worked off in slices beside the singles.

The staged rows are sealed with the service's key and deleted slice by slice (``import_work``); what stays is the
outcome per row: number, the id its command answered, code, rule, field.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.eventstore.database import Connection
from shared.kernel.errors import Refusal
from shared.security.principal import Principal
from shared.web.import_rows import ImportContext, ImportKind, JobContext, RowOutcome
from shared.web.import_work import ImportWork
from shared.web.reasons import file_fault
from shared.web.spool import Spool
from shared.web.tables import IMPORT_CHUNKS, IMPORT_ROWS, IMPORTS
from shared.web.uploads import MAX_ROWS, RawRow, UploadFormat, read_rows

SLICE = 333
"""Rows of one transaction. Single commands wait for its append; five hundred are a tenth quicker, and payments beside
the file wait half as long again."""

STAGED = 4
"""Slices staged by one statement: while they are read and sealed nobody else has a turn."""

LARGE_BYTES = 1 << 18
"""Of a spreadsheet; a smaller one is unpacked at once."""

LOOK_SECONDS, LOOKS = 0.01, 50
"""How often a caller that waits for a job is looked after, and after how many looks the database is asked."""

__all__ = ["ImportContext", "ImportKind", "ImportStatus", "Imports", "Upload"]


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


class Imports(ImportWork):
    """Accepts uploads, tells of them and works them off; one per process. Kinds are registered by ``describe``."""

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
