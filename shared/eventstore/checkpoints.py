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


async def read_checkpoints(connection: Connection, names: Sequence[str]) -> dict[str, Checkpoint]:
    """Checkpoints of readers; a reader that never ran stands at the beginning."""
    rows = await connection.execute(
        sa.select(checkpoints.c.name, checkpoints.c.position, checkpoints.c.step).where(
            checkpoints.c.name.in_(names)
        )
    )
    found = {name: Checkpoint(position, step) for name, position, step in rows}
    return {name: found.get(name, Checkpoint()) for name in names}


async def move_checkpoints(
    connection: Connection, moves: Mapping[str, tuple[Checkpoint, Checkpoint]]
) -> bool:
    """Move each reader from one checkpoint to the next. False when any of them stood elsewhere."""
    await connection.upsert(
        checkpoints, [{"name": name, "position": 0, "step": 0} for name in sorted(moves)], ignore=True
    )
    for name, (before, after) in sorted(moves.items()):
        rows = await connection.execute(
            sa.update(checkpoints)
            .where(
                checkpoints.c.name == name,
                checkpoints.c.position == before.position,
                checkpoints.c.step == before.step,
            )
            .values(position=after.position, step=after.step)
            .returning(checkpoints.c.name)
        )
        if not rows:
            return False
    return True
