"""A service's read models on PostgreSQL: SQLAlchemy Core over asyncpg.

The engine never begins transactions by itself (AUTOCOMMIT); every one is opened here on the asyncpg
connection below, so that SQLAlchemy's statements and the log's own calls stand in the same one.
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
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from shared.eventstore.database import Connection, Row
from shared.eventstore.log import Failure
from shared.eventstore.upserts import merge_rows, upsert_statement

SHADOW = "shadow"

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


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
        options = (tuple(columns), tuple(add), tuple(keep), ignore)
        sql = _upsert_sql(table, columns, options, self._schemas)
        processors = [_processor(table.c[name].type) for name in columns]
        arrays = [
            [row[name] for row in merged] if process is None else [process(row[name]) for row in merged]
            for name, process in zip(columns, processors, strict=True)
        ]
        await self.driver.execute(sql, *arrays)

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
        self._address = make_url(dsn).set(drivername="postgresql").render_as_string(hide_password=False)
        self._server_settings = server_settings
        self._idle: list[Any] = []
        self._direct = asyncio.Semaphore(pool)
        self._engine = create_async_engine(
            make_url(dsn).set(drivername="postgresql+asyncpg"),
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=10,
            connect_args={
                "timeout": 10,
                "server_settings": server_settings,
            },
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[PostgresConnection]:
        """A connection without a transaction: each statement commits by itself."""
        async with self._engine.connect() as connection:
            driver = await _driver_of(connection)
            if driver.is_closed():
                # The server ended it while it lay in the pool.
                await connection.invalidate()
                driver = await _driver_of(connection)
            try:
                yield PostgresConnection(connection, driver)
            except BaseException as error:
                # A broken or busy connection must not go back to the pool.
                if (
                    driver.is_closed()
                    or driver.is_in_transaction()
                    or failure_of(error) is Failure.CONNECTION
                ):
                    await connection.invalidate()
                raise

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresConnection]:
        """See Database.begin."""
        async with self.connect() as connection, connection.driver.transaction():
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresConnection]:
        """See Database.read."""
        async with self.connect() as connection, connection.driver.transaction(readonly=True):
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
                    self._address, timeout=10, server_settings=self._server_settings
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
        await self._engine.dispose()


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
        _, add, keep, ignore = options
        arrays = ", ".join(
            f"CAST(${number} AS {_array_type(table.c[name].type)})"
            for number, name in enumerate(columns, start=1)
        )
        source = sa.text(f"SELECT * FROM unnest({arrays})")
        statement = upsert_statement(
            insert(table).from_select(list(columns), source.columns(*[table.c[name] for name in columns])),
            table,
            columns,
            add=add,
            keep=keep,
            ignore=ignore,
        )
        translation = {"schema_translate_map": schemas, "render_schema_translate": True} if schemas else {}
        compiled = statement.compile(dialect=_DIALECT, **translation)
        sql = _UPSERTS[key] = str(compiled)
    return sql


def _array_type(column: Any) -> str:
    """The array type of an unnest; text for strings, as a cast to varchar(n) would cut silently."""
    implementation = column.dialect_impl(_DIALECT)
    if isinstance(column, sa.String) and not isinstance(column, sa.Enum):
        return "text[]"
    return f"{implementation.compile(dialect=_DIALECT)}[]"


def _processor(column: Any) -> Any:
    """What turns a Python value into what asyncpg takes; None when they are the same."""
    if isinstance(column, sa.String | sa.Integer | sa.LargeBinary | sa.Date | sa.Boolean):
        return None
    return column.dialect_impl(_DIALECT).bind_processor(_DIALECT)
