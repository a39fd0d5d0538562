"""A log as a whole: versions without gaps, positions that rise, whose streams they are. Nothing is decoded.

On PostgreSQL these are aggregates over the index columns; the same is reckoned here for rows in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from deploy.audit.evidence import Row
from deploy.audit.rosters import HOUSEHOLD_TYPES
from deploy.audit.tally import DETAILS

HOUSEHOLD = "virtual-household"


class Survey(msgspec.Struct, frozen=True):
    """What a log holds. judged: rows from ``since`` on; the ids are of judged rows, the first few of each.

    gaps: versions that do not follow, positions that do not rise; kinds: rows judged by the part of the stream
    before the colon; strangers: rows of other types on a virtual household.
    """

    rows: int
    last: int
    judged: int
    types: dict[str, int]
    gaps: int
    gap_ids: tuple[str, ...]
    kinds: dict[str, int]
    strangers: tuple[str, ...]


def survey_rows(rows: Iterable[Row], since: int = 0) -> Survey:
    """The survey of rows in memory."""
    versions: dict[tuple[int, str], int] = {}
    types: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    gaps: list[str] = []
    strangers: list[str] = []
    position = count = 0
    for row in rows:
        count += 1
        types[row.type] += 1
        key = (row.era, row.stream)
        follows = row.version == versions.get(key, 0) + 1 and row.position > position
        versions[key], position = row.version, row.position
        if row.position < since:
            continue
        kind = row.stream.partition(":")[0]
        kinds[kind] += 1
        if not follows:
            gaps.append(str(row.event_id))
        if kind == HOUSEHOLD and row.type not in HOUSEHOLD_TYPES:
            strangers.append(str(row.event_id))
    return Survey(
        count, position, sum(kinds.values()), dict(types), len(gaps), tuple(gaps[:DETAILS]), dict(kinds),
        tuple(strangers[:DETAILS]),
    )  # fmt: skip


_TYPES = (
    "SELECT type, split_part(stream, ':', 1) AS kind, count(*) AS found, max(position) AS last,"
    " count(*) FILTER (WHERE position >= $1) AS judged FROM platform.events GROUP BY 1, 2"
)
_GAPS = """
SELECT position, count(*) OVER () AS found FROM (
  SELECT position, version, row_number() OVER (
    PARTITION BY hashtextextended(stream, era) ORDER BY position) AS expected
  FROM platform.events) numbered
WHERE version <> expected AND position >= $1 ORDER BY position LIMIT $2
"""
_STRANGERS = """
SELECT event_id::text FROM platform.events
WHERE starts_with(stream, $1 || ':') AND type <> ALL($2::text[]) AND position >= $3
ORDER BY position LIMIT $4
"""
_IDS = "SELECT event_id::text FROM platform.events WHERE position = ANY($1::bigint[]) ORDER BY position"


async def survey_log(connection: Any, since: int = 0) -> Survey:
    """The survey of a log in PostgreSQL. A position is the table's key, so positions rise."""
    types: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    last = 0
    for kind, stream, found, highest, judged in await connection.fetch(_TYPES, since):
        types[kind] += found
        kinds[stream] += judged
        last = max(last, highest)
    gaps = await connection.fetch(_GAPS, since, DETAILS)
    ids = await connection.fetch(_IDS, [row["position"] for row in gaps]) if gaps else []
    strangers = (
        await connection.fetch(_STRANGERS, HOUSEHOLD, list(HOUSEHOLD_TYPES), since, DETAILS)
        if kinds[HOUSEHOLD]
        else []
    )
    return Survey(
        rows=types.total(),
        last=last,
        judged=kinds.total(),
        types=dict(types),
        gaps=gaps[0]["found"] if gaps else 0,
        gap_ids=tuple(row[0] for row in ids),
        kinds={kind: count for kind, count in kinds.items() if count},
        strangers=tuple(row[0] for row in strangers),
    )
