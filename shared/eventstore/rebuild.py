"""Replaying a read model into schema ``shadow``, comparing it with the live one, and swapping.

The live projection keeps running until the last page: then its checkpoint row is held, so that both sides
stand at the same position while they are compared and, if wanted, swapped in that transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from shared.eventstore.checkpoints import Checkpoint
from shared.eventstore.database import Connection
from shared.eventstore.log import Log
from shared.eventstore.projections import PAGE, checkpoint_name
from shared.eventstore.tables import checkpoints
from shared.eventstore.tailing import Projection

SHADOW = "shadow"


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
    log: Log, database: ShadowedDatabase, projection: Projection, *, swap: bool = False, page: int = PAGE
) -> RebuildReport:
    """Replay ``projection`` from the log and compare; with ``swap`` the replayed rows replace the live ones.

    Raises what the projection's ``apply`` raises; nothing live is touched then.
    """
    names = log.types.names(projection.handles)
    await _recreate(database, projection.tables)
    position = events = 0
    try:
        while True:
            async with database.begin() as connection:
                live = await _hold_checkpoint(connection, projection, held=False)
                position, applied = await _replay(
                    log, connection, projection, names, position, live.position, page
                )
            events += applied
            if live.position - position <= page:
                break
        async with database.begin() as connection:
            live = await _hold_checkpoint(connection, projection, held=True)
            while position < live.position:
                position, applied = await _replay(
                    log, connection, projection, names, position, live.position, page
                )
                events += applied
            tables = [await _compare(connection, table) for table in projection.tables]
            if swap:
                for table in projection.tables:
                    await _swap(connection, table)
    finally:
        await _drop(database, projection.tables)
    return RebuildReport(
        projection=projection.name, position=live.position, events=events, tables=tables, swapped=swap
    )


async def _hold_checkpoint(connection: Connection, projection: Projection, *, held: bool) -> Checkpoint:
    query = sa.select(checkpoints.c.position, checkpoints.c.step).where(
        checkpoints.c.name == checkpoint_name(projection)
    )
    if held:
        query = query.with_for_update()
    rows = await connection.execute(query)
    return Checkpoint(rows[0].position, rows[0].step) if rows else Checkpoint()


async def _replay(
    log: Log,
    connection: ShadowedConnection,
    projection: Projection,
    names: frozenset[str],
    position: int,
    until: int,
    page: int,
) -> tuple[int, int]:
    """Apply one page; answers where it ended and how many events it had. The log may read past a gap."""
    if position >= until:
        return position, 0
    tail = await log.read_page(position, page, names, until)
    if tail.events:
        await projection.apply(connection.shadowed(), tail.events)
    return (tail.scanned if tail.scanned > position else until), len(tail.events)


async def _recreate(database: ShadowedDatabase, tables: Sequence[sa.Table]) -> None:
    async with database.begin() as connection:
        shadow = connection.shadowed()
        for table in reversed(tables):
            await shadow.execute(sa.schema.DropTable(table, if_exists=True))
        for table in tables:
            await shadow.execute(sa.schema.CreateTable(table))
            for index in sorted(table.indexes, key=lambda item: str(item.name)):
                await shadow.execute(sa.schema.CreateIndex(index))


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
