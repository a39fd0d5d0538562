"""Logs on the real PostgreSQL, several of them on one database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from tests.contract.eventstore.conftest import prepare
from tests.contract.eventstore.sample import TYPES

MakeLog = Callable[[], PostgresLog]
Execute = Callable[[str], Awaitable[None]]


@pytest.fixture
def url(database_factory: Callable[..., str]) -> str:
    """A migrated database with the sample's read models."""
    return database_factory(prepare)


@pytest.fixture
async def make_log(url: str) -> AsyncIterator[MakeLog]:
    """Logs with connections of their own, as separate processes have."""
    databases: list[PostgresDatabase] = []

    def make() -> PostgresLog:
        databases.append(PostgresDatabase(url, pool=4))
        return PostgresLog(databases[-1], TYPES)

    yield make
    for database in databases:
        await database.close()


@pytest.fixture
async def execute(url: str) -> AsyncIterator[Execute]:
    """Run SQL as the owner of the schema: to plant mutants."""
    connection = await asyncpg.connect(url)

    async def run(sql: str) -> None:
        await connection.execute(sql)

    yield run
    await connection.close()
