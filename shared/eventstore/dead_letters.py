"""What could not be handled, one key at a time: a dead letter blocks its key only, later ones park behind it.

Shared by reactions (an event of our log) and by shared/messaging (a message of a topic). Rows hold codes and
references, never an exception's text: that may quote what it choked on.
"""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from shared.eventstore.commands import Outcome
from shared.eventstore.database import Connection, Database, Row
from shared.eventstore.tables import dead_letters, parked
from shared.kernel.clock import Clock
from shared.kernel.errors import ProblemError, Refusal

OPEN, REPLAYED, DISCARDED = "open", "replayed", "discarded"
REACTION, MESSAGE = "reaction", "message"

NOT_FOUND = Refusal(
    code="DEAD_LETTER_NOT_FOUND",
    rule="DEAD_LETTER",
    message="没有这条未决死信。 There is no such open dead letter.",
)
NOT_REPLAYABLE = Refusal(
    code="DEAD_LETTER_NOT_REPLAYABLE",
    rule="DEAD_LETTER",
    message="本进程不运行该处理程序，无法重放。 This process does not run the handler; it cannot replay.",
)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``platform.dead_letters``.

    kind: ``message`` or ``reaction``; name: topic or reaction; part: partition, -1 for reactions.
    position: offset in the partition, or position in the log. payload: the message's bytes; a reaction's
    event is in the log. fixed: what replay uses instead.
    """

    id: str
    kind: str
    name: str
    key: str
    position: int
    code: str
    created_at: dt.datetime
    part: int = -1
    payload: bytes | None = None
    fixed: bytes | None = None
    state: str = OPEN
    resolved_at: dt.datetime | None = None
    resolved_by: str = ""


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``platform.parked``: a message or an event that waits.

    deadline: business day after which it becomes a dead letter; None when it waits behind another of its key.
    """

    kind: str
    name: str
    key: str
    position: int
    parked_at: dt.datetime
    part: int = -1
    payload: bytes | None = None
    reason: str = ""
    deadline: dt.date | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did, or would do: per command ``accepted`` or the code it was refused with."""

    id: str
    dry_run: bool
    outcomes: list[str]


class Replayer(Protocol):
    """The handler of a kind and name: a reaction's runner, a topic's consumer."""

    async def replay(self, letter: DeadLetter, *, by: str, dry_run: bool) -> Sequence[Outcome]:
        """Handle the letter and, unless dry, mark it replayed in the same transaction."""
        ...

    def check_fix(self, letter: DeadLetter, payload: bytes, /) -> None:
        """Raise ProblemError when ``payload`` cannot stand for the letter's own."""
        ...


def error_code(error: BaseException) -> str:
    """Class of an exception and the line it came from, e.g. ``KeyError@domain:41``. Never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"@{PurePath(frames[-1].filename).stem}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where


async def add_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Store new dead letters; one with a known id is left as it is."""
    await connection.upsert(dead_letters, [msgspec.structs.asdict(letter) for letter in letters], ignore=True)


async def park(connection: Connection, rows: Sequence[Parked]) -> None:
    """Park messages or events; parking one again changes its reason and deadline."""
    await connection.upsert(parked, [msgspec.structs.asdict(row) for row in rows], keep=("parked_at",))


async def unpark(connection: Connection, row: Parked) -> bool:
    """Remove a parked row; False when another worker has done so."""
    rows = await connection.execute(
        sa.delete(parked)
        .where(
            parked.c.kind == row.kind,
            parked.c.name == row.name,
            parked.c.part == row.part,
            parked.c.position == row.position,
        )
        .returning(parked.c.position)
    )
    return bool(rows)


_LETTERS = sa.select(dead_letters.c.key).where(
    dead_letters.c.kind == sa.bindparam("of_kind"),
    dead_letters.c.name == sa.bindparam("of_name"),
    dead_letters.c.state == OPEN,
)
_WAITING = sa.select(parked.c.key).where(
    parked.c.kind == sa.bindparam("of_kind"), parked.c.name == sa.bindparam("of_name")
)
_AMONG: sa.BindParameter[str] = sa.bindparam("among", expanding=True)
_BLOCKED = sa.union(_LETTERS, _WAITING)
_BLOCKED_AMONG = sa.union(
    _LETTERS.where(dead_letters.c.key.in_(_AMONG)), _WAITING.where(parked.c.key.in_(_AMONG))
)


async def blocked_keys(
    connection: Connection, kind: str, name: str, keys: Collection[str] | None = None
) -> set[str]:
    """Keys (of those asked for, or all) that have an open dead letter or something parked."""
    asked: dict[str, Any] = {"of_kind": kind, "of_name": name}
    if keys is None:
        return {key for (key,) in await connection.execute(_BLOCKED, asked)}
    return {key for (key,) in await connection.execute(_BLOCKED_AMONG, asked | {"among": sorted(keys)})}


_PARKED = (
    sa.select(sa.func.count())
    .select_from(parked)
    .where(parked.c.kind == sa.bindparam("of_kind"), parked.c.name == sa.bindparam("of_name"))
)


async def parked_count(connection: Connection, kind: str, name: str) -> int:
    """How many rows are parked, whatever they wait for."""
    rows = await connection.execute(_PARKED, {"of_kind": kind, "of_name": name})
    return int(rows[0][0])


async def parked_heads(connection: Connection, kind: str, name: str, limit: int = 1000) -> list[Parked]:
    """The first parked row of each key that no open dead letter blocks, oldest first."""
    other = parked.alias()
    earlier = sa.exists().where(
        other.c.kind == kind,
        other.c.name == name,
        other.c.key == parked.c.key,
        other.c.position < parked.c.position,
    )
    dead = sa.exists().where(
        dead_letters.c.kind == kind,
        dead_letters.c.name == name,
        dead_letters.c.key == parked.c.key,
        dead_letters.c.state == OPEN,
    )
    rows = await connection.execute(
        sa.select(parked)
        .where(parked.c.kind == kind, parked.c.name == name, ~earlier, ~dead)
        .order_by(parked.c.position)
        .limit(limit)
    )
    return [Parked(**row._mapping) for row in rows]


async def resolve(connection: Connection, letter_id: str, state: str, by: str, at: dt.datetime) -> bool:
    """Close an open dead letter; False when it is not open any more."""
    rows = await connection.execute(
        sa.update(dead_letters)
        .where(dead_letters.c.id == letter_id, dead_letters.c.state == OPEN)
        .values(state=state, resolved_by=by, resolved_at=at)
        .returning(dead_letters.c.id)
    )
    return bool(rows)


class DeadLetters:
    """What an operator does with dead letters. Unknown or closed ones: ProblemError DEAD_LETTER_NOT_FOUND."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._replayers: dict[tuple[str, str], Replayer] = {}

    def register(self, kind: str, name: str, replayer: Replayer) -> None:
        """Who replays letters of a kind and name in this process."""
        self._replayers[kind, name] = replayer

    async def list(
        self, *, state: str = OPEN, name: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[DeadLetter]:
        """Letters in a state, by id (their order of creation), after an id."""
        query = sa.select(dead_letters).where(dead_letters.c.state == state, dead_letters.c.id > after)
        if name is not None:
            query = query.where(dead_letters.c.name == name)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(dead_letters.c.id).limit(limit))
        return [_letter(row) for row in rows]

    async def counts(self) -> dict[tuple[str, str, str], int]:
        """(kind, name, ``open`` or ``parked``) -> how many: the gauges."""
        async with self._database.read() as connection:
            letters = await connection.execute(
                sa.select(dead_letters.c.kind, dead_letters.c.name, sa.func.count())
                .where(dead_letters.c.state == OPEN)
                .group_by(dead_letters.c.kind, dead_letters.c.name)
            )
            waiting = await connection.execute(
                sa.select(parked.c.kind, parked.c.name, sa.func.count()).group_by(
                    parked.c.kind, parked.c.name
                )
            )
        counted = {(kind, name, OPEN): number for kind, name, number in letters}
        counted |= {(kind, name, "parked"): number for kind, name, number in waiting}
        return counted

    async def show(self, letter_id: str) -> DeadLetter:
        """One letter, in whatever state."""
        async with self._database.read() as connection:
            return await self._find(connection, letter_id)

    async def fix(self, letter_id: str, payload: bytes) -> DeadLetter:
        """Give an open letter another payload for its replay. The log and the topic stay as they are."""
        letter = await self.show(letter_id)
        self._replayer(letter).check_fix(letter, payload)
        async with self._database.begin() as connection:
            await connection.execute(
                sa.update(dead_letters)
                .where(dead_letters.c.id == letter_id, dead_letters.c.state == OPEN)
                .values(fixed=payload)
            )
            return await self._find(connection, letter_id, OPEN)

    async def discard(self, letter_id: str, *, by: str) -> None:
        """Give an open letter up; what is parked behind it goes on."""
        async with self._database.begin() as connection:
            if not await resolve(connection, letter_id, DISCARDED, by, self._clock.now()):
                raise ProblemError(NOT_FOUND, status=404)

    async def replay(self, letter_id: str, *, by: str, dry_run: bool = False) -> Replay:
        """Handle an open letter again; dry: say what would happen, write nothing."""
        async with self._database.read() as connection:
            letter = await self._find(connection, letter_id, OPEN)
        outcomes = await self._replayer(letter).replay(letter, by=by, dry_run=dry_run)
        return Replay(
            id=letter_id,
            dry_run=dry_run,
            outcomes=[item.code if isinstance(item, Refusal) else "accepted" for item in outcomes],
        )

    def _replayer(self, letter: DeadLetter) -> Replayer:
        replayer = self._replayers.get((letter.kind, letter.name))
        if replayer is None:
            raise ProblemError(NOT_REPLAYABLE, status=409)
        return replayer

    async def _find(self, connection: Connection, letter_id: str, state: str | None = None) -> DeadLetter:
        query = sa.select(dead_letters).where(dead_letters.c.id == letter_id)
        rows = await connection.execute(query)
        if not rows or (state is not None and rows[0].state != state):
            raise ProblemError(NOT_FOUND, status=404)
        return _letter(rows[0])


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(**row._mapping)
