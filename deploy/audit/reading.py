"""Reading a log through the read-only role: page by page, only the types somebody asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from deploy.audit.evidence import Row
from deploy.audit.survey import Survey, survey_log

PAGE_BYTES = 4 * 1024 * 1024
"""About how much JSON a page may have: lists and rosters have up to 64 KiB an event."""
PAGE_ROWS = 5000

_ROWS = (
    "SELECT position, event_id, era, stream, version, type, data::text, occurred_at"
    " FROM platform.events WHERE type = ANY($1::text[]) ORDER BY position"
)
_SETTINGS = {
    "application_name": "liangxian-audit",
    "work_mem": "128MB",
    "jit": "off",
    "default_transaction_read_only": "on",
}


class Log:
    """One log as it stood when it was opened: every read sees the same rows."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def survey(self, since: int = 0) -> Survey:
        """See ``survey.survey_log``."""
        return await survey_log(self._connection, since)

    async def pages(self, types: Sequence[str]) -> AsyncIterator[list[Row]]:
        """Rows of the types in the order of the log."""
        decode = msgspec.json.Decoder().decode
        cursor = await self._connection.cursor(_ROWS, list(types))
        rows = PAGE_ROWS
        while stored := await cursor.fetch(rows):
            size = sum(len(each[6]) for each in stored)
            yield [
                Row(position, event_id, era, stream, version, kind, decode(data), occurred_at)
                for position, event_id, era, stream, version, kind, data, occurred_at in stored
            ]
            rows = max(50, min(PAGE_ROWS, PAGE_BYTES * len(stored) // size))


@asynccontextmanager
async def open_log(address: str) -> AsyncIterator[Log]:
    """A log through its read-only role, in one snapshot."""
    connection = await asyncpg.connect(address, timeout=10, server_settings=_SETTINGS)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # The index gives the order for nothing; a sort would write the whole log to disk first.
            await connection.execute("SET LOCAL enable_sort = off")
            yield Log(connection)
    finally:
        await connection.close()


Opener = Callable[[str], Any]
"""How a log is opened: an async context manager of a ``Log``, by address."""
