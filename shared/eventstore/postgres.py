"""A service's read models on PostgreSQL: SQLAlchemy Core over asyncpg.

The engine never begins transactions by itself (AUTOCOMMIT); every one is opened here on the asyncpg
connection below, so that SQLAlchemy's statements and the log's own calls stand in the same one. Sessions are
kept by this module, latest used first: taking one out of the engine's pool costs more than a small statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from shared.eventstore.arrays import array_sql, arrays_of
from shared.eventstore.database import Connection, Row
from shared.eventstore.log import Failure
from shared.eventstore.sessions import Session
from shared.eventstore.statements import DIALECT, shape_of
from shared.eventstore.upserts import merge_rows, upsert_statement

SHADOW = "shadow"

STATEMENTS = 500
"""Prepared statements kept per session: the texts of a service, which do not vary with its data."""

SESSION_SECONDS = 10.0
"""How long a caller waits for a session."""

PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Sessions that load and write: planning costs as much as running for what they say, the same few statements
over and over, each of which asks an index for its keys. A plan for any values, made once a session, is right for
them, also one made while the table was empty (for which PostgreSQL would rather read the table). Sessions that
only read are asked for all kinds of lists and plan for the values they are given.
"""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds after which PostgreSQL gives up: a statement, a lock, and a transaction left idle."""

    statement: float = 30.0
    lock: float = 10.0
    idle_in_transaction: float = 10.0

    def settings(self) -> dict[str, str]:
        """As server settings of a connection."""
        return {
            "statement_timeout": str(int(self.statement * 1000)),
            "lock_timeout": str(int(self.lock * 1000)),
            "idle_in_transaction_session_timeout": str(int(self.idle_in_transaction * 1000)),
        }


class PostgresConnection:
    """See database.Connection."""

    def __init__(
        self,
        connection: AsyncConnection,
        driver: asyncpg.Connection[Any],
        schemas: Mapping[str | None, str] | None = None,
    ) -> None:
        self.driver = driver
        self._connection = connection
        self._schemas = schemas
        self._options: dict[str, Any] = {"schema_translate_map": schemas} if schemas else {}

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> Sequence[Row]:
        if parameters is None or (statement.is_select and isinstance(parameters, Mapping)):
            found = shape_of(statement, self._schemas)
            if found is not None:
                shape, bound = found
                return shape.rows(await self.driver.fetch(shape.sql, *shape.values(bound, parameters or {})))
        if isinstance(parameters, Sequence) and not parameters:
            return []
        result = await self._connection.execute(statement, parameters, execution_options=self._options)
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
        if not merged:
            return
        columns = list(merged[0])
        joined, values = arrays_of(table, columns, merged)
        options = (tuple(columns), tuple(add), tuple(keep), ignore, joined)
        await self.driver.execute(_upsert_sql(table, columns, options, self._schemas), *values)

    async def amend(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        merged = merge_rows(table, rows, add=(), keep=(), ignore=False)
        if merged:
            columns = list(merged[0])
            joined, values = arrays_of(table, columns, merged)
            await self.driver.execute(_amend_sql(table, tuple(columns), joined, self._schemas), *values)

    def shadowed(self) -> Connection:
        """The same transaction; unqualified tables mean those of schema ``shadow``."""
        return PostgresConnection(self._connection, self.driver, {None: SHADOW})


class PostgresDatabase:
    """See database.Database. ``dsn``: ``postgresql://`` address of the service's role.

    pool: connections kept; reads and writes beyond it wait. Parameters are never shown in errors.
    """

    dialect = "postgresql"

    def __init__(
        self, dsn: str, *, pool: int = 10, timeouts: Timeouts | None = None, application: str = "liangxian"
    ) -> None:
        server_settings = {
            "application_name": application,
            "default_transaction_isolation": "read committed",
            "synchronous_commit": "on",
            "jit": "off",
            **(timeouts or Timeouts()).settings(),
        }
        writing = server_settings | PLANNED_ONCE
        self._address = make_url(dsn).set(drivername="postgresql").render_as_string(hide_password=False)
        self._server_settings = writing
        self._idle: list[Any] = []
        self._direct = asyncio.Semaphore(pool)
        self._engine = _engine(dsn, writing)
        self._writing = _Sessions(self._engine, pool)
        reading = _engine(dsn, {**server_settings, "default_transaction_read_only": "on"})
        self._reading = _Sessions(reading, pool)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[PostgresConnection]:
        """A connection without a transaction: each statement commits by itself."""
        async with self._writing.taken() as connection:
            yield connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresConnection]:
        """See Database.begin."""
        async with self._writing.taken() as connection, connection.driver.transaction():
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresConnection]:
        """See Database.read. At READ COMMITTED a transaction would add two round trips and nothing else: the
        session refuses to write."""
        async with self._reading.taken() as connection:
            yield connection

    async def create_all(self, metadata_list: Iterable[sa.MetaData]) -> None:
        """Create read-model tables that are missing. Schema ``platform`` comes from ``migrate``."""
        async with self._engine.begin() as connection:
            for metadata in metadata_list:
                await connection.run_sync(metadata.create_all)

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[Any]:
        """An asyncpg connection outside SQLAlchemy, each statement its own transaction: the log's fast path.

        The engine's pool costs a third of a millisecond a turn; this one is a list.
        """
        async with self._direct:
            driver = None
            while self._idle and driver is None:
                driver = self._idle.pop()
                if driver.is_closed():
                    driver = None
            if driver is None:
                driver = await asyncpg.connect(
                    self._address,
                    timeout=10,
                    connection_class=Session,
                    server_settings=self._server_settings,
                    statement_cache_size=STATEMENTS,
                )
            try:
                yield driver
            except BaseException as error:
                if failure_of(error) is Failure.CONNECTION:
                    driver.terminate()
                raise
            finally:
                if not driver.is_closed():
                    self._idle.append(driver)

    async def close(self) -> None:
        """Close all connections."""
        while self._idle:
            await self._idle.pop().close()
        await self._writing.close()
        await self._reading.close()


def _engine(dsn: str, server_settings: Mapping[str, str]) -> AsyncEngine:
    return create_async_engine(
        make_url(dsn).set(drivername="postgresql+asyncpg"),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={
            "timeout": 10,
            "connection_class": Session,
            "server_settings": dict(server_settings),
            "statement_cache_size": STATEMENTS,
        },
    )


class _Sessions:
    """Open sessions of an engine, latest used first. Whoever comes when all are taken waits."""

    def __init__(self, engine: AsyncEngine, size: int) -> None:
        self._engine = engine
        self._free = asyncio.Semaphore(size)
        self._ready: list[tuple[AsyncConnection, Any]] = []

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[PostgresConnection]:
        """A session for one caller. One that broke, or was left in a transaction, is not used again."""
        async with asyncio.timeout(SESSION_SECONDS):
            await self._free.acquire()
        try:
            connection, driver = await self._open()
            keep = False
            try:
                yield PostgresConnection(connection, driver)
                keep = True
            except BaseException as error:
                keep = failure_of(error) is not Failure.CONNECTION
                raise
            finally:
                if keep and not driver.is_closed() and not driver.is_in_transaction():
                    self._ready.append((connection, driver))
                else:
                    await _drop(connection)
        finally:
            self._free.release()

    async def _open(self) -> tuple[AsyncConnection, Any]:
        while self._ready:
            connection, driver = self._ready.pop()
            if not driver.is_closed():
                return connection, driver
            await _drop(connection)  # the server ended it while it lay here
        connection = await self._engine.connect()
        return connection, await _driver_of(connection)

    async def close(self) -> None:
        """Close all that lie here."""
        while self._ready:
            connection, _ = self._ready.pop()
            await connection.close()
        await self._engine.dispose()


async def _drop(connection: AsyncConnection) -> None:
    await connection.invalidate()
    await connection.close()


async def _driver_of(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


def failure_of(error: BaseException) -> Failure:
    """What an exception of asyncpg, SQLAlchemy or the network says about asking again.

    What is the server's own trouble is never a command's: a reaction would turn fact after fact into dead
    letters, and an import refuse its rows for good, until the disk has room again.
    """
    cause: BaseException | None = error
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        if error.connection_invalidated:
            return Failure.CONNECTION
    if isinstance(
        cause,
        (
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            asyncpg.AdminShutdownError,
            asyncpg.CrashShutdownError,
            asyncpg.CannotConnectNowError,
            asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
            asyncpg.ReadOnlySQLTransactionError,  # the primary became a standby
            asyncpg.IdleInTransactionSessionTimeoutError,
            ConnectionError,
            asyncio.TimeoutError,
            sa.exc.TimeoutError,
        ),
    ):
        return Failure.CONNECTION
    if isinstance(
        cause,
        (
            asyncpg.DeadlockDetectedError,
            asyncpg.SerializationError,
            asyncpg.LockNotAvailableError,
            asyncpg.InvalidCachedStatementError,
        ),
    ):
        return Failure.TRANSIENT
    if isinstance(cause, asyncpg.QueryCanceledError):  # statement_timeout: no command is to blame
        return Failure.BUSY
    return Failure.COMMAND


_UPSERTS: dict[tuple[Any, ...], str] = {}


def _upsert_sql(
    table: sa.Table,
    columns: Sequence[str],
    options: tuple[Any, ...],
    schemas: Mapping[str | None, str] | None,
) -> str:
    """INSERT … SELECT FROM unnest($1, …) ON CONFLICT: one statement for any number of rows."""
    key = (table, options, schemas is not None)
    sql = _UPSERTS.get(key)
    if sql is None:
        _, add, keep, ignore, joined = options
        source = sa.text(f"SELECT * FROM unnest({array_sql(table, columns, joined=joined)})")
        statement = upsert_statement(
            insert(table).from_select(list(columns), source.columns(*[table.c[name] for name in columns])),
            table,
            columns,
            add=add,
            keep=keep,
            ignore=ignore,
        )
        translation = {"schema_translate_map": schemas, "render_schema_translate": True} if schemas else {}
        compiled = statement.compile(dialect=DIALECT, **translation)
        sql = _UPSERTS[key] = str(compiled)
    return sql


def _amend_sql(
    table: sa.Table, columns: tuple[str, ...], joined: bool, schemas: Mapping[str | None, str] | None
) -> str:
    """UPDATE … FROM unnest($1, …): one statement for any number of rows."""
    key = (table, columns, "amend", joined, schemas is not None)
    sql = _UPSERTS.get(key)
    if sql is None:
        schema = table.schema or (schemas or {}).get(None)
        quote = DIALECT.identifier_preparer.quote
        target = quote(str(table.name)) if schema is None else f"{quote(schema)}.{quote(str(table.name))}"
        arrays = array_sql(table, columns, joined=joined)
        names = {name: quote(name) for name in columns}
        keys = [column.name for column in table.primary_key.columns]
        changes = ", ".join(f"{names[name]} = new.{names[name]}" for name in columns if name not in keys)
        mine = " AND ".join(f"held.{names[name]} = new.{names[name]}" for name in keys)
        listed = ", ".join(names.values())
        sql = _UPSERTS[key] = (
            f"UPDATE {target} AS held SET {changes} FROM unnest({arrays}) AS new({listed}) WHERE {mine}"
        )
    return sql
