"""The log on PostgreSQL: asyncpg calls the append functions; see ``migrations/0002_append_events.sql``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from shared.eventstore.log import (
    Failure,
    History,
    KeyId,
    Proposal,
    ReceivedEvent,
    StoredEvent,
    StoredOutcome,
    StoredRow,
    StreamKey,
    TailPage,
    Verdict,
    recorded,
)
from shared.eventstore.postgres import PostgresConnection, PostgresDatabase, failure_of
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes

Driver: TypeAlias = "asyncpg.Connection[Any]"

# LATERAL … OFFSET 0 keeps the planner from anything but a probe of events_stream per stream.
LOAD_SQL = """
SELECT 0 AS what, s.ord, e.version AS number, e.type, e.schema, e.data::text AS data,
       NULL::bytea AS digest, NULL::bytea AS response, NULL::bigint AS position
FROM unnest($1::integer[], $2::text[]) WITH ORDINALITY AS s(era, stream, ord)
CROSS JOIN LATERAL (
    SELECT version, type, schema, data FROM platform.events
    WHERE events.era = s.era AND events.stream = s.stream
    ORDER BY version OFFSET 0
) AS e
UNION ALL
SELECT 1, k.ord, i.status, NULL, NULL, NULL, i.digest, i.response,
       (SELECT e.position FROM platform.events e
        WHERE e.era = i.era AND e.stream = i.stream AND e.version = i.version)
FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS k(organisation, operation, key, ord)
CROSS JOIN LATERAL (
    SELECT status, digest, response, era, stream, version FROM platform.idempotency
    WHERE idempotency.organisation = k.organisation AND idempotency.operation = k.operation
        AND idempotency.key = k.key OFFSET 0
) AS i
"""

_APPEND_TYPES = (
    *("int[]", "int[]", "text[]", "int[]"),  # expected versions
    *(
        "int[]",
        "text[]",
        "text[]",
        "text[]",
        "bytea[]",
        "int[]",
        "bytea[]",
        "int[]",
        "text[]",
        "int[]",
    ),  # keys
    *("int[]", "text[]", "text[]", "text[]"),  # guards
    *("int[]", "uuid[]", "int[]", "text[]", "int[]", "text[]", "int[]", "text[]", "text[]"),  # events
    *("timestamptz[]", "timestamptz"),
)

APPEND_SQL = "SELECT * FROM platform.append_events({})".format(
    ", ".join(f"${number}::{kind}" for number, kind in enumerate(_APPEND_TYPES, start=1))
)

RECEIVED_SQL = """
SELECT * FROM platform.append_received($1::uuid[], $2::int[], $3::text[], $4::text[], $5::int[], $6::text[],
                                       $7::text[], $8::timestamptz[], $9::timestamptz)
"""

COLUMNS = """position, event_id::text AS event_id, era, stream, version, type, schema,
       data::text AS data, metadata::text AS metadata, occurred_at, recorded_at"""

TAIL_SQL = f"""
SELECT {COLUMNS} FROM platform.events WHERE position > $1 AND position <= $3 ORDER BY position LIMIT $2
"""

# Rows of other types travel as their position only: the page still ends where it was scanned to.
TAIL_OF_TYPES_SQL = f"""
WITH page AS MATERIALIZED (
    SELECT * FROM platform.events WHERE position > $1 AND position <= $3 ORDER BY position LIMIT $2
)
SELECT {COLUMNS}, (SELECT max(position) FROM page) AS scanned FROM page WHERE type = ANY ($4)
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, (SELECT max(position) FROM page)
ORDER BY 1 NULLS LAST
"""

STREAM_SQL = f"SELECT {COLUMNS} FROM platform.events WHERE era = $1 AND stream = $2 ORDER BY version"

FIND_SQL = f"""
SELECT {COLUMNS} FROM platform.events WHERE position > $1 AND type = ANY ($3) ORDER BY position LIMIT $2
"""

CENSUS_SQL = "SELECT type, count(*) AS count FROM platform.events GROUP BY type ORDER BY type"

HEAD_SQL = "SELECT coalesce(max(position), 0) FROM platform.events"

LAG_SQL = """
SELECT extract(epoch FROM clock_timestamp() - (
    SELECT appended_at FROM platform.events WHERE position > $1 ORDER BY position LIMIT 1))::float8
"""

GUARDS_SQL = "SELECT key, holder FROM platform.guards WHERE kind = $1 AND key = ANY ($2::text[])"

LAST = 2**63 - 1


class GapError(Exception):
    """Positions of one append were not consecutive: somebody draws from the log's sequence."""


class PostgresLog:
    """See log.Log."""

    def __init__(self, database: PostgresDatabase, types: EventTypes) -> None:
        self.database = database
        self.types = types

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_PostgresTransaction]:
        """See Log.transaction."""
        async with self.database.begin() as connection:
            yield _PostgresTransaction(connection)

    async def load(self, streams: Sequence[StreamKey], keys: Sequence[KeyId]) -> History:
        """See Log.load."""
        async with self.database.direct() as driver:
            return await _load(driver, streams, keys)

    async def append(self, proposal: Proposal) -> Verdict:
        """See Log.append. One statement is one transaction: no round trip while the lock is held."""
        async with self.database.direct() as driver:
            return await _append(driver, proposal)

    def failure(self, error: Exception, /) -> Failure:
        """See Log.failure."""
        return failure_of(error)

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """See Log.guard_holders."""
        async with self.database.direct() as driver:
            rows = await driver.fetch(GUARDS_SQL, kind, list(keys))
        return {row["key"]: row["holder"] for row in rows}

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """See Log.read_page. The append lock makes position order the order of commits."""
        last = LAST if until is None else min(until, LAST)
        async with self.database.direct() as driver:
            if types is None:
                rows = await driver.fetch(TAIL_SQL, after, limit, last)
                scanned = rows[-1]["position"] if rows else after
            else:
                rows = await driver.fetch(TAIL_OF_TYPES_SQL, after, limit, last, sorted(types))
                end = rows.pop()["scanned"]
                scanned = after if end is None else end
        return TailPage([recorded(StoredRow(*row[:11]), self.types) for row in rows], scanned)

    async def read_rows(self, after: int, limit: int, until: int | None = None) -> list[StoredRow]:
        """Rows after a position, undecoded (tail.RawLog)."""
        async with self.database.direct() as driver:
            rows = await driver.fetch(TAIL_SQL, after, limit, LAST if until is None else min(until, LAST))
        return [StoredRow(*row) for row in rows]

    async def read(self, after: int, limit: int, types: frozenset[str] | None = None) -> list[Recorded[Any]]:
        """See Log.read."""
        return (await self.read_page(after, limit, types)).events

    async def read_stream(self, stream: str, era: int = 0) -> list[Recorded[Any]]:
        """See Log.read_stream."""
        async with self.database.direct() as driver:
            rows = await driver.fetch(STREAM_SQL, era, stream)
        return [recorded(StoredRow(*row), self.types) for row in rows]

    async def find(self, types: frozenset[str], after: int, limit: int) -> list[Recorded[Any]]:
        """See Log.find."""
        async with self.database.direct() as driver:
            rows = await driver.fetch(FIND_SQL, after, limit, sorted(types))
        return [recorded(StoredRow(*row), self.types) for row in rows]

    async def census(self) -> Mapping[str, int]:
        """See Log.census."""
        async with self.database.direct() as driver:
            rows = await driver.fetch(CENSUS_SQL)
        return {str(row["type"]): int(row["count"]) for row in rows}

    async def head(self) -> int:
        """See Log.head."""
        async with self.database.direct() as driver:
            return int(await driver.fetchval(HEAD_SQL))

    async def lag_seconds(self, after: int, /) -> float:
        """See Log.lag_seconds."""
        async with self.database.direct() as driver:
            return float(await driver.fetchval(LAG_SQL, after) or 0.0)


class _PostgresTransaction:
    """See log.LogTransaction."""

    def __init__(self, connection: PostgresConnection) -> None:
        self.connection = connection

    async def load(self, streams: Sequence[StreamKey], keys: Sequence[KeyId]) -> History:
        return await _load(self.connection.driver, streams, keys)

    async def append(self, proposal: Proposal) -> Verdict:
        return await _append(self.connection.driver, proposal)

    async def append_received(self, rows: Sequence[ReceivedEvent]) -> tuple[int, Sequence[int]]:
        position, versions = await self.connection.driver.fetchrow(
            RECEIVED_SQL,
            [row.event_id for row in rows],
            [row.append.era for row in rows],
            [row.append.stream_id for row in rows],
            [row.append.type for row in rows],
            [row.append.schema for row in rows],
            [row.append.data.decode() for row in rows],
            [row.metadata.decode() for row in rows],
            [row.append.occurred_at for row in rows],
            rows[0].recorded_at,
        )
        return int(position), versions


async def _load(driver: Driver, streams: Sequence[StreamKey], keys: Sequence[KeyId]) -> History:
    if not streams and not keys:
        return History({}, {})
    rows = await driver.fetch(
        LOAD_SQL,
        [era for era, _ in streams],
        [stream for _, stream in streams],
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
    )
    loaded: dict[StreamKey, list[StoredEvent]] = {}
    outcomes: dict[KeyId, StoredOutcome] = {}
    for what, number, version, kind, schema, data, digest, response, position in rows:
        if what:
            outcomes[keys[number - 1]] = StoredOutcome(digest, version, response, position or 0)
        else:
            loaded.setdefault(streams[number - 1], []).append(StoredEvent(version, kind, schema, data))
    return History(loaded, outcomes)


async def _append(driver: Driver, proposal: Proposal) -> Verdict:
    expected, claims = proposal.expected, proposal.claims
    guards, events = proposal.guards, proposal.events
    row = await driver.fetchrow(
        APPEND_SQL,
        *_columns(expected, 4),
        *_columns(claims, 10),
        *_columns(guards, 4),
        [event.group for event in events],
        [event.event_id for event in events],
        [event.era for event in events],
        [event.stream for event in events],
        [event.version for event in events],
        [event.type for event in events],
        [event.schema for event in events],
        [event.data.decode() for event in events],
        [event.metadata.decode() for event in events],
        [event.occurred_at for event in events],
        events[0].recorded_at if events else None,
    )
    first, last, lost, taken, waited = row
    lost_groups = frozenset(lost)
    written = sum(1 for event in events if event.group not in lost_groups) if lost_groups else len(events)
    if written and last - first + 1 != written:
        raise GapError
    return Verdict(first or 0, lost_groups, frozenset(number - 1 for number in taken), waited)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Any]:
    """Rows as one list per column."""
    return list(zip(*rows, strict=True)) if rows else [()] * width
