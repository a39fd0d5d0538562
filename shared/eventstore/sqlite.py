"""A service's read models in one SQLite database in memory: simulation and unit tests.

One connection, no threads: the same calls in the same order give the same bytes. Schemas ``platform`` and
``shadow`` are attached databases, so statements are the same as on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
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
        return _ShadowConnection(self._statements, self._engine)


class _ShadowConnection:
    """See ``_SqliteConnection.shadowed``. Rebuilds are rare: here the engine translates the schemas."""

    def __init__(self, statements: Statements, connection: sa.Connection) -> None:
        self._statements = statements
        self._connection = connection
        self._options: Any = {"schema_translate_map": {None: SHADOW}}

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> Sequence[Row]:
        if isinstance(parameters, Sequence) and not parameters:
            return []
        if statement.is_dml:
            self._statements.refuse_to_write(str(statement))
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
            self._statements.refuse_to_write(f"upsert {table.name}")
            statement = upsert_statement(insert(table), table, merged[0], add=add, keep=keep, ignore=ignore)
            self._connection.execute(
                statement, [dict(row) for row in merged], execution_options=self._options
            )

    async def amend(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        merged = merge_rows(table, rows, add=(), keep=(), ignore=False)
        keys = [column.name for column in table.primary_key.columns]
        self._statements.refuse_to_write(f"amend {table.name}")
        for row in merged:
            mine = sa.and_(*(table.c[name] == row[name] for name in keys))
            values = {name: value for name, value in row.items() if name not in keys}
            change = sa.update(table).where(mine).values(values)
            self._connection.execute(change, execution_options=self._options)


CACHED_STATEMENTS = 1024
"""Statements the driver keeps prepared: more than a service has. Its own 128 are fewer, and it would prepare
again and again."""


class MemoryDatabase:
    """See database.Database. Transactions run one after the other, as the single connection demands.

    Opening a transaction inside another of the same task is a programming error (on PostgreSQL it would
    wait for itself or see an older state) and raises RuntimeError instead of waiting for ever.
    """

    dialect = "sqlite"

    def __init__(self, metadata_list: Iterable[sa.MetaData] = ()) -> None:
        self._engine = sa.create_engine(
            "sqlite://",
            poolclass=StaticPool,
            hide_parameters=True,
            connect_args={"cached_statements": CACHED_STATEMENTS},
        )
        sa.event.listen(self._engine, "connect", _prepare)
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._connection = self._engine.connect()
        self._driver: sqlite3.Connection = cast("Any", self._connection.connection.driver_connection)
        self._statements = Statements(self._driver)
        self._open = _SqliteConnection(self._statements, self._connection)
        self.create_all([tables.metadata, *metadata_list])

    def create_all(self, metadata_list: Iterable[sa.MetaData]) -> None:
        """Create the tables that are missing."""
        for metadata in metadata_list:
            metadata.create_all(self._connection)

    def begin(self) -> _Transaction:
        """See Database.begin."""
        return _Transaction(self, "BEGIN", "COMMIT", "ROLLBACK")

    def read(self) -> _Transaction:
        """See Database.read. Writing here raises OperationalError, as PostgreSQL does.

        Nobody else writes while it lasts, so it needs no snapshot. Refused here and not by the driver: each
        ``PRAGMA query_only`` would make it prepare every statement anew.
        """
        return _Transaction(self)

    async def close(self) -> None:
        """Drop the database."""
        self._connection.close()
        self._engine.dispose()


class _Transaction:
    """One at a time: it waits for the others' end. The commands begin it, and end it well or not; without them it
    only reads."""

    def __init__(self, database: MemoryDatabase, begins: str = "", ends: str = "", fails: str = "") -> None:
        self._database = database
        self._begins = begins
        self._ends = ends
        self._fails = fails

    async def __aenter__(self) -> Connection:
        database, task = self._database, asyncio.current_task()
        if database._holder is not None and database._holder is task:
            raise RuntimeError("a transaction is already open in this task")
        await database._lock.acquire()
        database._holder = task
        try:
            database._statements.reading = not self._begins
            if self._begins:
                database._statements.command(self._begins)
        except BaseException:
            self._leave()
            raise
        return database._open

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._begins:
                self._database._statements.command(self._ends if kind is None else self._fails)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._database._holder = None
        self._database._statements.reading = False
        self._database._lock.release()


def _prepare(connection: Any, _record: Any) -> None:
    # The driver must not begin by itself: SELECT would run outside, and DDL would commit.
    connection.isolation_level = None
    connection.execute("ATTACH ':memory:' AS platform")
    connection.execute(f"ATTACH ':memory:' AS {SHADOW}")
