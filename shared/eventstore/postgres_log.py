"""The log on PostgreSQL: asyncpg calls the append functions; see ``migrations/0005_append_outright.sql``."""

from __future__ import annotations

import datetime as dt
import functools
import re
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
    Select,
    StoredEvent,
    StoredOutcome,
    StoredRow,
    StreamKey,
    TailPage,
    Verdict,
    recorded,
)
from shared.eventstore.postgres import PostgresConnection, PostgresDatabase, failure_of
from shared.eventstore.statements import Shape, shape_of
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes

Driver: TypeAlias = "asyncpg.Connection[Any]"

LOAD_ARGUMENTS = 6

# LATERAL … OFFSET 0 keeps the planner from anything but a probe of events_stream per stream.
LOAD_SQL = """
SELECT 0 AS what, s.ord, e.version AS number, e.type, e.schema, e.data::text AS data,
       NULL::bytea AS digest, NULL::bytea AS response, NULL::bigint AS position
FROM unnest($1::text::integer[], string_to_array($2, $6)) WITH ORDINALITY AS s(era, stream, ord)
CROSS JOIN LATERAL (
    SELECT version, type, schema, data FROM platform.events
    WHERE events.era = s.era AND events.stream = s.stream
    ORDER BY version OFFSET 0
) AS e
UNION ALL
SELECT 1, k.ord, i.status, NULL, NULL, NULL, i.digest, i.response,
       (SELECT e.position FROM platform.events e
        WHERE e.era = i.era AND e.stream = i.stream AND e.version = i.version)
FROM unnest((string_to_array($3, $6))[2:], (string_to_array($4, $6))[2:], (string_to_array($5, $6))[2:])
    WITH ORDINALITY AS k(organisation, operation, key, ord)
CROSS JOIN LATERAL (
    SELECT status, digest, response, era, stream, version FROM platform.idempotency
    WHERE idempotency.organisation = k.organisation AND idempotency.operation = k.operation
        AND idempotency.key = k.key OFFSET 0
) AS i
"""

# What was looked up comes in one row before the others: as many arrays of rows as there are selects.
LOOKED_UP_SQL = """
SELECT 2 AS what, NULL::bigint AS ord, NULL::integer AS number, NULL AS type, NULL::integer AS schema, NULL AS data,
       NULL::bytea AS digest, NULL::bytea AS response, NULL::bigint AS position, {arrays}
UNION ALL
SELECT loaded.*, {nothing} FROM ({load}) AS loaded
"""

APPEND_SQL = """
SELECT * FROM platform.append_events(
    $1::text::int[], $2::text::int[], string_to_array($3, $27), $4::text::int[],
    $5::text::int[], (string_to_array($6, $27))[2:], (string_to_array($7, $27))[2:],
    (string_to_array($8, $27))[2:], $9::bytea[], $10::text::int[], $11::bytea[], $12::text::int[],
    (string_to_array($13, $27, ''))[2:], $14::text::int[],
    $15::text::int[], (string_to_array($16, $27))[2:], (string_to_array($17, $27))[2:],
    (string_to_array($18, $27))[2:],
    $19::text::int[], $20::text::uuid[], $21::text::int[], string_to_array($22, $27), $23::text::int[],
    string_to_array($24, $27), $25::text::int[], string_to_array($26, $27), string_to_array($28, $27),
    ARRAY(SELECT ($29::timestamptz[])[n.at] FROM unnest($30::text::int[]) WITH ORDINALITY AS n(at, ord)
          ORDER BY n.ord),
    $31::timestamptz)
"""

RECEIVED_SQL = """
SELECT * FROM platform.append_received(
    $1::text::uuid[], $2::text::int[], string_to_array($3, $7), string_to_array($4, $7), $5::text::int[],
    string_to_array($6, $7), string_to_array($8, $7),
    ARRAY(SELECT ($9::timestamptz[])[n.at] FROM unnest($10::text::int[]) WITH ORDINALITY AS n(at, ord)
          ORDER BY n.ord),
    $11::timestamptz)
"""

COLUMNS = """position, event_id::text AS event_id, era, stream, version, type, schema,
       data::text AS data, metadata::text AS metadata, occurred_at, recorded_at"""

TAIL_SQL = f"""
SELECT {COLUMNS} FROM platform.events WHERE position > $1 AND position <= $3 ORDER BY position LIMIT $2
"""

STORED_PAGE_BYTES = 1 << 20
"""Bytes of payload as they are stored, compressed, with which a page of some types is full: some five times that as
JSON. The parts of a district's rosters and returns follow each other by the thousand, up to 64 KiB each."""

# Rows of other types travel as their position only: the page still ends where it was scanned to. What a payload takes
# where it is stored costs no reading of it.
TAIL_OF_TYPES_SQL = f"""
WITH page AS MATERIALIZED (
    SELECT * FROM platform.events WHERE position > $1 AND position <= $3 ORDER BY position LIMIT $2
), wanted AS MATERIALIZED (
    SELECT *, sum(pg_column_size(data)) OVER (ORDER BY position) - pg_column_size(data) AS before
    FROM page WHERE type = ANY ($4)
), ended AS (
    SELECT coalesce((SELECT min(position) - 1 FROM wanted WHERE before >= $5), max(position)) AS scanned FROM page
)
SELECT {COLUMNS}, NULL::bigint AS scanned FROM wanted WHERE before < $5
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, scanned FROM ended
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

SEPARATOR = "\x01"
"""Joins strings on their way."""


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

    async def load(
        self, streams: Sequence[StreamKey], keys: Sequence[KeyId], selects: Sequence[Select] = ()
    ) -> History:
        """See Log.load."""
        async with self.database.direct() as driver:
            return await _load(driver, streams, keys, selects)

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
                rows = await driver.fetch(
                    TAIL_OF_TYPES_SQL, after, limit, last, sorted(types), STORED_PAGE_BYTES
                )
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
        facts = [row.append for row in rows]
        separator, (streams, types) = _joined(
            [fact.stream_id for fact in facts], [fact.type for fact in facts]
        )
        position, versions = await self.connection.driver.fetchrow(
            RECEIVED_SQL,
            _literal([row.event_id for row in rows]),
            _literal([fact.era for fact in facts]),
            streams,
            types,
            _literal([fact.schema for fact in facts]),
            _texts([fact.data for fact in facts], separator),
            separator,
            _texts([row.metadata for row in rows], separator),
            *_moments([fact.occurred_at for fact in facts]),
            rows[0].recorded_at,
        )
        return int(position), versions


async def _load(
    driver: Driver, streams: Sequence[StreamKey], keys: Sequence[KeyId], selects: Sequence[Select] = ()
) -> History:
    if not streams and not keys and not selects:
        return History({}, {})
    text, shapes, looked_up = LOAD_SQL, [_shape(statement) for statement, _ in selects], []
    separator, (names, *asked) = _joined([stream for _, stream in streams], *map(_headed, _columns(keys, 3)))
    arguments: list[Any] = [_literal([era for era, _ in streams]), names, *asked, separator]
    if selects:
        text = _with_lookups(tuple([shape.sql for shape, _ in shapes]))
        for (shape, bound), (_, wanted) in zip(shapes, selects, strict=True):
            arguments += shape.values(bound, {"keys": wanted})
    loaded: dict[StreamKey, list[StoredEvent]] = {}
    outcomes: dict[KeyId, StoredOutcome] = {}
    for row in await driver.fetch(text, *arguments):
        what, number, version, kind, schema, data, digest, response, position = row[:9]
        if what == 0:
            loaded.setdefault(streams[number - 1], []).append(StoredEvent(version, kind, schema, data))
        elif what == 1:
            outcomes[keys[number - 1]] = StoredOutcome(digest, version, response, position or 0)
        else:
            looked_up = [shape.rows(found) for (shape, _), found in zip(shapes, row[9:], strict=True)]
    return History(loaded, outcomes, looked_up)


def _shape(statement: Any) -> tuple[Shape, Sequence[Any]]:
    found = shape_of(statement)
    if found is None:
        raise TypeError("only a select of plain columns can be looked up")
    return found


@functools.cache
def _with_lookups(selects: tuple[str, ...]) -> str:
    """The statement that loads and looks up; its arguments those of LOAD_SQL, then of each select in turn."""
    last, arrays = LOAD_ARGUMENTS, []
    for text in selects:
        shifted = re.sub(r"\$(\d+)", lambda found, by=last: f"${int(found[1]) + by}", text)  # type: ignore[misc]
        arrays.append(f"ARRAY(SELECT found FROM ({shifted}) AS found)")
        last += max(map(int, re.findall(r"\$(\d+)", text)))
    nothing = ", ".join(["NULL"] * len(arrays))
    return LOOKED_UP_SQL.format(arrays=", ".join(arrays), nothing=nothing, load=LOAD_SQL)


async def _append(driver: Driver, proposal: Proposal) -> Verdict:
    groups, eras, streams, versions = _columns(proposal.expected, 4)
    (
        of_groups, event_ids, of_eras, of_streams, of_versions, of_types, schemas, data, metadata, occurred,
        recorded_at,
    ) = _columns(proposal.events, 11)  # fmt: skip
    owners, organisations, operations, keys, digests, statuses, responses, *places = _columns(
        proposal.claims, 10
    )
    claimants, kinds, names, holders = _columns(proposal.guards, 4)
    last_eras, last_streams, last_versions = places
    separator, (asked, named, types, *texts) = _joined(
        streams,
        of_streams,
        of_types,
        *map(_headed, (organisations, operations, keys, last_streams, kinds, names, holders)),
    )
    row = await driver.fetchrow(
        APPEND_SQL,
        _literal(groups),
        _literal(eras),
        asked,
        _literal(versions),
        _literal(owners),
        *texts[:3],
        digests,
        _literal(statuses),
        responses,
        _literal(last_eras),
        texts[3],
        _literal(last_versions),
        _literal(claimants),
        *texts[4:],
        _literal(of_groups),
        _literal(event_ids),
        _literal(of_eras),
        named,
        _literal(of_versions),
        types,
        _literal(schemas),
        _texts(data, separator),
        separator,
        _texts(metadata, separator),
        *_moments(occurred),
        recorded_at[0] if recorded_at else None,
    )
    first, last, lost, taken, waited = row
    lost_groups = frozenset(lost)
    written = sum(1 for group in of_groups if group not in lost_groups) if lost_groups else len(of_groups)
    if written and last - first + 1 != written:
        raise GapError
    return Verdict(first or 0, lost_groups, frozenset(number - 1 for number in taken), waited)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Any]:
    """Rows as one list per column."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


# Arrays cost the driver a call per element, and a test whether the element is an array itself. A text costs it
# one: numbers and ids go as array literals, strings joined by what stands in none of them.


def _literal(values: Sequence[int | None] | Sequence[str]) -> str:
    """An array literal of numbers, some perhaps unknown, or uuids."""
    joined = ",".join(map(str, values))
    return "{" + (joined.replace("None", "NULL") if None in values else joined) + "}"


def _headed(values: Sequence[str | None]) -> list[str]:
    """Behind a head nobody reads: so a text that joins one empty value is none of no values. None is empty."""
    return ["-", *[value or "" for value in values]]


def _joined(*columns: Sequence[str]) -> tuple[str, list[str]]:
    """A separator that occurs in no value, and each column joined by it. A column of one empty value looks like one of
    none: see ``_headed``."""
    separator, attempt = SEPARATOR, 0
    while True:
        texts = [separator.join(values) for values in columns]
        if all(
            not values or text.count(separator) == len(values) - 1
            for text, values in zip(texts, columns, strict=True)
        ):
            return separator, texts
        attempt += 1
        separator = f"{SEPARATOR}|{attempt}|"  # no beginning of it is an end of it: nothing spans a border


def _texts(documents: Sequence[bytes], separator: str) -> str:
    """Documents joined by a separator with a control character, which JSON never holds raw."""
    return separator.encode().join(documents).decode()


def _moments(moments: Sequence[dt.datetime]) -> tuple[list[dt.datetime], str]:
    """Each moment once, and per value which of them (from 1): a batch has few, mostly one."""
    if moments and moments.count(moments[0]) == len(moments):
        return [moments[0]], _literal([1] * len(moments))
    places: dict[dt.datetime, int] = {}
    numbers = [places.setdefault(moment, len(places) + 1) for moment in moments]
    return list(places), _literal(numbers)
