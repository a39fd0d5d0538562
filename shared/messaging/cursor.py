"""The relay's place in its log: a row that moves by compare-and-set only."""

from __future__ import annotations

import sqlalchemy as sa

from shared.eventstore.database import Connection
from shared.eventstore.tables import checkpoints


class CursorLostError(Exception):
    """Another relay moved the cursor: stop publishing, read it again before going on."""


_READ = sa.select(checkpoints.c.position).where(checkpoints.c.name == sa.bindparam("cursor"))
_MOVE = (
    sa.update(checkpoints)
    .where(checkpoints.c.name == sa.bindparam("cursor"), checkpoints.c.position == sa.bindparam("expected"))
    .values(position=sa.bindparam("to"))
    .returning(checkpoints.c.position)
)


async def read_cursor(connection: Connection, name: str) -> int:
    """Position of the last published event; the row is made when it is missing."""
    await connection.upsert(checkpoints, [{"name": name, "position": 0, "step": 0}], ignore=True)
    rows = await connection.execute(_READ, {"cursor": name})
    return int(rows[0].position)


async def move_cursor(connection: Connection, name: str, expected: int, to: int) -> None:
    """From ``expected`` to ``to``; equal ones prove that we hold it. Raises CursorLostError."""
    moved = await connection.execute(_MOVE, {"cursor": name, "expected": expected, "to": to})
    if not moved:
        raise CursorLostError(name)
