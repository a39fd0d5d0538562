"""A service's read-model database behind a port: PostgreSQL in production, SQLite in memory for simulation.

Statements are SQLAlchemy Core and run on both dialects; what differs (upsert) is a method here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import sqlalchemy as sa

Row = sa.Row[*tuple[Any, ...]]


def among(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """``column IN keys``, the keys given when it runs (``execute(STATEMENT, {"keys": keys})``): building a
    statement costs more than asking it, and one of a module's constants is built once."""
    return column.in_(sa.bindparam("keys", expanding=True, type_=column.type))


class Connection(Protocol):
    """An open transaction. Everything on it commits or rolls back together."""

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> Sequence[Row]:
        """All rows of the statement; an empty list when it returns none."""
        ...

    async def upsert(
        self,
        table: sa.Table,
        rows: Iterable[Mapping[str, Any]],
        *,
        add: Sequence[str] = (),
        keep: Sequence[str] = (),
        ignore: bool = False,
    ) -> None:
        """Insert rows; on an equal primary key replace the other columns given in the row.

        add: columns whose value is added to what is there (counters, fen).
        keep: columns that are only set on insert.
        ignore: leave an existing row untouched.
        Rows of one call need the same columns; repeated keys in one call are applied in order.
        """
        ...

    async def amend(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Set the columns given beside the primary key, where there is such a row; no other is made.

        Rows of one call need the same columns; of repeated keys in one call the last counts.
        """
        ...


class ReadOnDemand:
    """A read-only transaction that begins with its first statement; ``close`` ends it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: AbstractAsyncContextManager[Connection] | None = None
        self._connection: Connection | None = None

    async def _begun(self) -> Connection:
        if self._connection is None:
            self._open = self._database.read()
            self._connection = await self._open.__aenter__()
        return self._connection

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> Sequence[Row]:
        """See Connection.execute."""
        return await (await self._begun()).execute(statement, parameters)

    async def upsert(
        self,
        table: sa.Table,
        rows: Iterable[Mapping[str, Any]],
        *,
        add: Sequence[str] = (),
        keep: Sequence[str] = (),
        ignore: bool = False,
    ) -> None:
        """See Connection.upsert: refused by the database, as in every read-only transaction."""
        await (await self._begun()).upsert(table, rows, add=add, keep=keep, ignore=ignore)

    async def amend(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See Connection.amend: refused by the database, as in every read-only transaction."""
        await (await self._begun()).amend(table, rows)

    async def close(self, error: BaseException | None = None) -> None:
        """End the transaction, if there is one; the next statement begins another."""
        opened, self._open, self._connection = self._open, None, None
        if opened is not None:
            await opened.__aexit__(type(error) if error is not None else None, error, None)


class Database(Protocol):
    """Opens transactions on a service's database."""

    def begin(self) -> AbstractAsyncContextManager[Connection]:
        """A read-write transaction, committed on leaving, rolled back on an exception."""
        ...

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A read-only transaction."""
        ...
