"""How far each reader of the log is; moved by compare-and-set in the transaction of its effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from shared.eventstore.database import Connection
from shared.eventstore.tables import checkpoints


class Checkpoint(NamedTuple):
    """Everything up to ``position`` is done; ``step`` counts the slices done of the event after it."""

    position: int = 0
    step: int = 0


_READ = sa.select(checkpoints.c.name, checkpoints.c.position, checkpoints.c.step).where(
    checkpoints.c.name.in_(sa.bindparam("names", expanding=True))
)


async def read_checkpoints(connection: Connection, names: Sequence[str]) -> dict[str, Checkpoint]:
    """Checkpoints of readers; a reader that never ran stands at the beginning."""
    rows = await connection.execute(_READ, {"names": list(names)})
    found = {name: Checkpoint(position, step) for name, position, step in rows}
    return {name: found.get(name, Checkpoint()) for name in names}


# All rows or none, locked by name: the order in which every mover locks them. Text that never changes costs the
# driver nothing to prepare; SQLAlchemy would build a statement per reader and page.
_MOVE_SQL = """
WITH held AS MATERIALIZED (
    SELECT c.name, m.to_position, m.to_step
    FROM platform.checkpoints c
    JOIN unnest($1::text[], $2::bigint[], $3::int[], $4::bigint[], $5::int[])
        AS m(name, position, step, to_position, to_step)
        ON c.name = m.name AND c.position = m.position AND c.step = m.step
    ORDER BY c.name FOR UPDATE OF c
)
UPDATE platform.checkpoints c SET position = held.to_position, step = held.to_step
FROM held WHERE c.name = held.name AND (SELECT count(*) FROM held) = cardinality($1)
RETURNING 1
"""

_MOVE_ONE_SQL = """
UPDATE platform.checkpoints SET position = $4, step = $5 WHERE name = $1 AND position = $2 AND step = $3 RETURNING 1
"""
"""Of one reader there is nothing to hold together: at half the cost, and without a lock before the change."""

_MOVE = (
    sa.update(checkpoints)
    .where(checkpoints.c.name == sa.bindparam("reader"))
    .values(position=sa.bindparam("to_position"), step=sa.bindparam("to_step"))
)
"""In memory, where no other transaction comes between reading and moving: one statement for all readers."""


async def move_checkpoints(
    connection: Connection, moves: Mapping[str, tuple[Checkpoint, Checkpoint]]
) -> bool:
    """Move each reader from one checkpoint to the next. False when any of them stood elsewhere."""
    if await _moved(connection, moves):
        return True
    if all(before != Checkpoint() for before, _ in moves.values()):
        return False
    await connection.upsert(
        checkpoints, [{"name": name, "position": 0, "step": 0} for name in sorted(moves)], ignore=True
    )
    return await _moved(connection, moves)


async def _moved(connection: Connection, moves: Mapping[str, tuple[Checkpoint, Checkpoint]]) -> bool:
    ordered = sorted(moves.items())
    driver = getattr(connection, "driver", None)
    if driver is not None:
        if len(ordered) == 1:
            name, (before, after) = ordered[0]
            return bool(await driver.fetch(_MOVE_ONE_SQL, name, *before, *after))
        names = [name for name, _ in ordered]
        steps = zip(*((*before, *after) for _, (before, after) in ordered), strict=True)
        return len(await driver.fetch(_MOVE_SQL, names, *steps)) == len(names)
    current = await read_checkpoints(connection, list(moves))
    if any(current[name] != before for name, (before, _) in ordered):
        return False
    begun = [
        {"name": name, "position": 0, "step": 0} for name, (before, _) in ordered if before == Checkpoint()
    ]
    if begun:
        await connection.upsert(checkpoints, begun, ignore=True)
    moved = [
        {"reader": name, "to_position": after.position, "to_step": after.step} for name, (_, after) in ordered
    ]
    await connection.execute(_MOVE, moved)
    return True
