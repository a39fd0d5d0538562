"""A worker's hold on partitions, kept in the service's own database.

The offset row moves by compare-and-set, in the transaction of what the messages did. The row also names its
owner, so that a worker that slept through a rebalance cannot book one more page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from shared.eventstore.database import Connection
from shared.eventstore.tables import offsets, watermarks
from shared.messaging.broker import Partition
from shared.messaging.intake import Place

SourceEpoch = tuple[str, int]
"""("service/log", epoch)."""

Marks = dict[SourceEpoch, Place]
"""Highest place seen per source log and epoch, in one partition."""


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's step within one transaction."""

    expected: int
    to: int
    owner: str


async def claim(
    connection: Connection, group: str, starts: Mapping[Partition, int], owner: str
) -> dict[Partition, int]:
    """Become the owner; answers each partition's next offset. Waits for a predecessor's open transaction.

    starts: where a partition begins that this group has never read.
    """
    await connection.upsert(
        offsets,
        [
            {"grp": group, "topic": p.topic, "part": p.part, "next_offset": start, "owner": owner}
            for p, start in sorted(starts.items())
        ],
        keep=("next_offset",),
    )
    rows = await connection.execute(
        sa.select(offsets.c.topic, offsets.c.part, offsets.c.next_offset).where(
            offsets.c.grp == group, offsets.c.owner == owner
        )
    )
    return {Partition(row.topic, row.part): row.next_offset for row in rows}


async def marks_of(
    connection: Connection, group: str, partitions: Iterable[Partition]
) -> dict[Partition, Marks]:
    """Watermarks of the partitions; an empty dict for one without any."""
    marks: dict[Partition, Marks] = {partition: {} for partition in partitions}
    topics = sorted({partition.topic for partition in marks})
    rows = await connection.execute(
        sa.select(watermarks).where(watermarks.c.grp == group, watermarks.c.topic.in_(topics))
    )
    for row in rows:
        partition = Partition(row.topic, row.part)
        if partition in marks:
            marks[partition][row.source_log, row.epoch] = (row.source_position, row.source_index)
    return marks


# The marks are stored in the same statement, after the offsets are locked: what is not referred to runs last. When a
# partition is lost, the caller rolls all of it back.
_MOVE_SQL = """
WITH held AS MATERIALIZED (
    SELECT o.topic, o.part, m.next_offset
    FROM platform.offsets o
    JOIN unnest($2::text[], $3::int[], $4::bigint[], $5::uuid[], $6::bigint[])
        AS m(topic, part, expected, owner, next_offset) ON o.topic = m.topic AND o.part = m.part
    WHERE o.grp = $1 AND o.next_offset = m.expected AND o.owner = m.owner
    ORDER BY o.topic, o.part FOR UPDATE OF o
), moved AS (
    UPDATE platform.offsets o SET next_offset = held.next_offset
    FROM held WHERE o.grp = $1 AND o.topic = held.topic AND o.part = held.part
    RETURNING o.topic, o.part
), marked AS (
    INSERT INTO platform.watermarks (grp, topic, part, source_log, epoch, source_position, source_index)
    SELECT $1, m.* FROM unnest($7::text[], $8::int[], $9::text[], $10::int[], $11::bigint[], $12::int[]) AS m
    ON CONFLICT (grp, topic, part, source_log, epoch)
    DO UPDATE SET source_position = excluded.source_position, source_index = excluded.source_index
)
SELECT topic, part FROM moved
"""


async def move(
    connection: Connection,
    group: str,
    moves: Mapping[Partition, Move],
    marks: Mapping[Partition, Marks],
) -> frozenset[Partition]:
    """The fence: moves every row that is still ours and stores the raised watermarks. Answers the partitions that
    are lost to us; then the transaction must be rolled back."""
    driver = getattr(connection, "driver", None)
    if driver is None:
        lost = await _moved(connection, group, moves)
        if not lost:
            await write_marks(connection, group, marks)
        return lost
    steps = [(p.topic, p.part, step.expected, step.owner, step.to) for p, step in sorted(moves.items())]
    raised = [
        (p.topic, p.part, source, epoch, *place)
        for p, places in sorted(marks.items())
        for (source, epoch), place in sorted(places.items())
    ]
    rows = await driver.fetch(
        _MOVE_SQL, group, *zip(*steps, strict=True), *(zip(*raised, strict=True) if raised else [()] * 6)
    )
    return frozenset(moves) - {Partition(topic, part) for topic, part in rows}


_MOVE = (
    sa.update(offsets)
    .where(
        offsets.c.grp == sa.bindparam("of"),
        offsets.c.topic == sa.bindparam("of_topic"),
        offsets.c.part == sa.bindparam("of_part"),
        offsets.c.next_offset == sa.bindparam("expected"),
        offsets.c.owner == sa.bindparam("held_by"),
    )
    .values(next_offset=sa.bindparam("to"))
    .returning(offsets.c.part)
)
"""In memory: one partition after the other."""


async def _moved(connection: Connection, group: str, moves: Mapping[Partition, Move]) -> frozenset[Partition]:
    lost = []
    for partition, step in sorted(moves.items()):
        place = {"of": group, "of_topic": partition.topic, "of_part": partition.part}
        fence = {"expected": step.expected, "held_by": step.owner, "to": step.to}
        if not await connection.execute(_MOVE, place | fence):
            lost.append(partition)
    return frozenset(lost)


async def write_marks(connection: Connection, group: str, changed: Mapping[Partition, Marks]) -> None:
    """Store raised watermarks; only ever called behind the fence, so nobody else writes them."""
    rows = [
        {
            "grp": group,
            "topic": partition.topic,
            "part": partition.part,
            "source_log": source,
            "epoch": epoch,
            "source_position": place[0],
            "source_index": place[1],
        }
        for partition, marks in sorted(changed.items())
        for (source, epoch), place in sorted(marks.items())
    ]
    if rows:
        await connection.upsert(watermarks, rows)


async def reset_offset(connection: Connection, group: str, partition: Partition, offset: int) -> None:
    """An operator's word on where to go on, after the broker lost data. Whoever owned the partition loses it.

    Watermarks stay: what was booked is not booked again.
    """
    await connection.upsert(
        offsets,
        [
            {
                "grp": group,
                "topic": partition.topic,
                "part": partition.part,
                "next_offset": offset,
                "owner": None,
            }
        ],
    )
