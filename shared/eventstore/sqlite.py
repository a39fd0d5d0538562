"""A service's read models in one SQLite database in memory: simulation and unit tests.

One connection, no threads: the same calls in the same order give the same bytes. Schemas ``platform`` and
``shadow`` are attached databases, so statements are the same as on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import StaticPool

from shared.eventstore import tables
from shared.eventstore.database import Connection, Row
from shared.eventstore.sqlite_statements import Statements
from shared.eventstore.upserts import merge_rows, upsert_statement

SHADOW = "shadow"


class _SqliteConnection:
    """See database.Connection."""

    def __init__(self, statements: Statements, engine: sa.Connection) -> None:
        self._statements = statements
        self._engine = engine

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> Sequence[Row]:
        if parameters is None or isinstance(parameters, Mapping):
            return self._statements.execute(statement, parameters)
        if len(parameters) > 1:
            self._statements.execute_many(statement, parameters)
            return []
        return self._statements.execute(statement, parameters[0]) if parameters else []

    async def upsert(
        self,
        table: sa.Table,
        rows: Iterable[Mapping[str, Any]],
        *,
        add: Sequence[str] = (),
        keep: Sequence[str] = (),
        ignore: bool = False,
    ) -> None:
        merged = merge_rows(table, rows, add=add, keep=keep, ignore=ignore)
        if merged:
            self._statements.upsert(table, merged, add=add, keep=keep, ignore=ignore)

    async def amend(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        merged = merge_rows(table, rows, add=(), keep=(), ignore=False)
        if merged:
            self._statements.amend(table, merged)

    def shadowed(self) -> Connection:
        """The same transaction; unqualified tables mean those of schema ``shadow``."""
        return _ShadowConnection(self._engine)


class _ShadowConnection:
    """See ``_SqliteConnection.shadowed``. Rebuilds are rare: here the engine translates the schemas."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._options: Any = {"schema_translate_map": {None: SHADOW}}

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> Sequence[Row]:
        if isinstance(parameters, Sequence) and not parameters:
            return []
        result = self._connection.execute(statement, parameters, execution_options=self._options)
        return result.fetchall() if result.returns_rows else []

    async def upsert(
        self,
        table: sa.Table,
        rows: Iterable[Mapping[str, Any]],
        *,
        add: Sequence[str] = (),
        keep: Sequence[str] = (),
        ignore: bool = False,
    ) -> None:
        merged = merge_rows(table, rows, add=add, keep=keep, ignore=ignore)
        if merged:
            statement = upsert_statement(insert(table), table, merged[0], add=add, keep=keep, ignore=ignore)
            self._connection.execute(
                statement, [dict(row) for row in merged], execution_options=self._options
            )

    async def amend(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        merged = merge_rows(table, rows, add=(), keep=(), ignore=False)
        keys = [column.name for column in table.primary_key.columns]
        for row in merged:
            mine = sa.and_(*(table.c[name] == row[name] for name in keys))
            values = {name: value for name, value in row.items() if name not in keys}
            change = sa.update(table).where(mine).values(values)
            self._connection.execute(change, execution_options=self._options)


class MemoryDatabase:
    """See database.Database. Transactions run one after the other, as the single connection demands.

    Opening a transaction inside another of the same task is a programming error (on PostgreSQL it would
    wait for itself or see an older state) and raises RuntimeError instead of waiting for ever.
    """

    dialect = "sqlite"

    def __init__(self, metadata_list: Iterable[sa.MetaData] = ()) -> None:
        self._engine = sa.create_engine("sqlite://", poolclass=StaticPool, hide_parameters=True)
        sa.event.listen(self._engine, "connect", _prepare)
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._connection = self._engine.connect()
        self._driver: sqlite3.Connection = cast("Any", self._connection.connection.driver_connection)
        self._statements = Statements(self._driver)
        self.create_all([tables.metadata, *metadata_list])

    def create_all(self, metadata_list: Iterable[sa.MetaData]) -> None:
        """Create the tables that are missing."""
        for metadata in metadata_list:
            metadata.create_all(self._connection)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """See Database.begin."""
        async with self._exclusive():
            statements = self._statements
            statements.command("BEGIN")
            try:
                yield _SqliteConnection(statements, self._connection)
            except BaseException:
                statements.command("ROLLBACK")
                raise
            statements.command("COMMIT")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """See Database.read. Writing here raises OperationalError, as PostgreSQL does.

        Nobody else writes while it lasts, so it needs no snapshot.
        """
        async with self._exclusive():
            self._statements.command("PRAGMA query_only = ON")
            try:
                yield _SqliteConnection(self._statements, self._connection)
            finally:
                self._statements.command("PRAGMA query_only = OFF")

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        if self._holder is not None and self._holder is task:
            raise RuntimeError("a transaction is already open in this task")
        async with self._lock:
            self._holder = task
            try:
                yield
            finally:
                self._holder = None

    async def close(self) -> None:
        """Drop the database."""
        self._connection.close()
        self._engine.dispose()


def _prepare(connection: Any, _record: Any) -> None:
    # The driver must not begin by itself: SELECT would run outside, and DDL would commit.
    connection.isolation_level = None
    connection.execute("ATTACH ':memory:' AS platform")
    connection.execute(f"ATTACH ':memory:' AS {SHADOW}")
