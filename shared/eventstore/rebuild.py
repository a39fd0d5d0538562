"""Replaying a read model into schema ``shadow``, comparing it with the live one, and swapping.

The live projection keeps running until the last page: then its checkpoint row is held, so that both sides
stand at the same position while they are compared and, if wanted, swapped in that transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from shared.eventstore.database import Connection
from shared.eventstore.log import Log
from shared.eventstore.projections import checkpoint_name
from shared.eventstore.sharing import shares_of
from shared.eventstore.tables import checkpoints
from shared.eventstore.tailing import Projection

SHADOW = "shadow"

REPLAY_PAGE = 2000
"""Events of a page, where the log does not end it earlier for their size: more than the tail's, as rows touched twice
are then written once."""

Progress = Callable[[int, int], None]
"""Told the position replayed to, and the one to reach."""


class ShadowedConnection(Connection, Protocol):
    """A connection that can look at schema ``shadow`` in the same transaction."""

    def shadowed(self) -> Connection:
        """Unqualified tables mean those of ``shadow``."""
        ...


class ShadowedDatabase(Protocol):
    """A database with such connections: PostgresDatabase, MemoryDatabase."""

    def begin(self) -> AbstractAsyncContextManager[ShadowedConnection]:
        """See Database.begin."""
        ...


class TableComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one table: live, replayed, and how many stand on one side only."""

    table: str
    live: int
    replayed: int
    only_live: int
    only_replayed: int

    @property
    def equal(self) -> bool:
        """True when replay gives exactly the live rows."""
        return not (self.only_live or self.only_replayed)


class RebuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild found. position: up to where both sides had read the log."""

    projection: str
    position: int
    events: int
    tables: list[TableComparison]
    swapped: bool

    @property
    def equal(self) -> bool:
        """True when every table equals its replay."""
        return all(table.equal for table in self.tables)


async def rebuild(
    log: Log,
    database: ShadowedDatabase,
    projection: Projection,
    *,
    swap: bool = False,
    page: int = REPLAY_PAGE,
) -> RebuildReport:
    """``rebuild_all`` of one projection."""
    reports = await rebuild_all(log, database, [projection], swap=swap, page=page)
    return reports[0]


async def rebuild_all(
    log: Log,
    database: ShadowedDatabase,
    projections: Sequence[Projection],
    *,
    swap: bool = False,
    page: int = REPLAY_PAGE,
    progress: Progress = lambda _position, _until: None,
) -> list[RebuildReport]:
    """Replay projections in one pass of the log and compare; with ``swap`` replayed rows replace the live ones.

    Raises what a projection's ``apply`` raises; nothing live is touched then.
    """
    replay = _Replay(log, projections, page)
    tables = [table for projection in projections for table in projection.tables]
    await _recreate(database, tables)
    try:
        while True:
            async with database.begin() as connection:
                await replay.look(connection)
                await replay.step(connection, replay.first)
            progress(replay.position, replay.last)
            if replay.first - replay.position <= page:
                break
        async with database.begin() as connection:
            await _take_time(database, connection)
            await replay.look(connection, held=True)
            while replay.position < replay.last:
                await replay.step(connection, replay.last)
            reports = [await _report(connection, replay, each, swap) for each in projections]
        progress(replay.last, replay.last)
    finally:
        await _drop(database, tables)
    return reports


class _Replay:
    """One pass of the log into ``shadow``; each projection only up to where its live rows stand."""

    def __init__(self, log: Log, projections: Sequence[Projection], page: int) -> None:
        self.position = 0
        self.live: dict[str, int] = {}
        self.events: dict[str, int] = {projection.name: 0 for projection in projections}
        self._log = log
        self._projections = projections
        self._page = page
        self._names = frozenset[str]().union(*(log.types.names(each.handles) for each in projections))

    @property
    def first(self) -> int:
        """Where the live projection furthest behind stands: nobody may be passed while they move."""
        return min(self.live.values(), default=0)

    @property
    def last(self) -> int:
        """Where the live projection furthest ahead stands."""
        return max(self.live.values(), default=0)

    async def look(self, connection: Connection, *, held: bool = False) -> None:
        """See where the live projections stand; ``held``: and they stay there."""
        names = {checkpoint_name(projection): projection.name for projection in self._projections}
        query = (
            sa.select(checkpoints.c.name, checkpoints.c.position)
            .where(checkpoints.c.name.in_(sorted(names)))
            .order_by(checkpoints.c.name)
        )
        rows = await connection.execute(query.with_for_update() if held else query)
        self.live = dict.fromkeys(self.events, 0) | {names[name]: position for name, position in rows}

    async def step(self, connection: ShadowedConnection, until: int) -> None:
        """Apply one page. The log may read past a gap."""
        if self.position >= until:
            return
        tail = await self._log.read_page(self.position, self._page, self._names, until)
        shadow = connection.shadowed()
        shares = shares_of(tail.events, self._projections)
        for projection, events in zip(self._projections, shares, strict=True):
            if events and events[-1].position > self.live[projection.name]:
                events = [each for each in events if each.position <= self.live[projection.name]]
            if events:
                await projection.apply(shadow, events)
                self.events[projection.name] += len(events)
        self.position = tail.scanned if tail.scanned > self.position else until


async def _report(
    connection: ShadowedConnection, replay: _Replay, projection: Projection, swap: bool
) -> RebuildReport:
    tables = [await _compare(connection, table) for table in projection.tables]
    if swap:
        for table in projection.tables:
            await _swap(connection, table)
    return RebuildReport(
        projection=projection.name,
        position=replay.live[projection.name],
        events=replay.events[projection.name],
        tables=tables,
        swapped=swap,
    )


async def _recreate(database: ShadowedDatabase, tables: Sequence[sa.Table]) -> None:
    async with database.begin() as connection:
        shadow = connection.shadowed()
        for table in reversed(tables):
            await shadow.execute(sa.schema.DropTable(table, if_exists=True))
        for table in tables:
            await shadow.execute(sa.schema.CreateTable(_unlogged(database, table)))
            for index in sorted(table.indexes, key=lambda item: str(item.name)):
                await shadow.execute(sa.schema.CreateIndex(index))


async def _take_time(database: ShadowedDatabase, connection: Connection) -> None:
    """Comparing tables of a district takes longer and more memory than a service's statement may, and reads them
    from one end to the other."""
    if getattr(database, "dialect", "") == "postgresql":
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(sa.text("SET LOCAL work_mem = '64MB'"))
        await connection.execute(sa.text("SET LOCAL enable_seqscan = on"))


def _unlogged(database: ShadowedDatabase, table: sa.Table) -> sa.Table:
    """The table, which nobody needs after a crash, without a write-ahead log where there is one."""
    if getattr(database, "dialect", "") != "postgresql":
        return table
    copy = table.to_metadata(sa.MetaData())
    copy._prefixes = ["UNLOGGED"]
    return copy


async def _drop(database: ShadowedDatabase, tables: Sequence[sa.Table]) -> None:
    async with database.begin() as connection:
        for table in reversed(tables):
            await connection.shadowed().execute(sa.schema.DropTable(table, if_exists=True))


def _columns(table: sa.Table) -> list[Any]:
    """Columns as something that can be compared: json has no equality, its text has."""
    return [
        sa.cast(column, sa.Text) if isinstance(column.type, sa.JSON) else column for column in table.columns
    ]


async def _count(connection: Connection, query: Any) -> int:
    rows = await connection.execute(sa.select(sa.func.count()).select_from(query.subquery()))
    return int(rows[0][0])


async def _compare(connection: Connection, table: sa.Table) -> TableComparison:
    shadow = table.to_metadata(sa.MetaData(), schema=SHADOW)
    live_rows, shadow_rows = sa.select(*_columns(table)), sa.select(*_columns(shadow))
    return TableComparison(
        table=str(table.name),
        live=await _count(connection, sa.select(*table.primary_key.columns)),
        replayed=await _count(connection, sa.select(*shadow.primary_key.columns)),
        only_live=await _count(connection, sa.except_(live_rows, shadow_rows)),
        only_replayed=await _count(connection, sa.except_(shadow_rows, live_rows)),
    )


async def _swap(connection: Connection, table: sa.Table) -> None:
    """Rows, not tables: grants, dependants and prepared statements of the running service stay valid."""
    shadow = table.to_metadata(sa.MetaData(), schema=SHADOW)
    await connection.execute(sa.delete(table))
    columns = [column.name for column in table.columns]
    await connection.execute(
        sa.insert(table).from_select(columns, sa.select(*[shadow.c[name] for name in columns]))
    )
