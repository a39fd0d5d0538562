"""The store on both databases: the same tests must pass on each."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable

import pytest

from shared.eventstore.memory import MemoryLog
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.writer import Writer
from shared.kernel.clock import SeededRuntime, SimulatedClock
from tests.contract.eventstore.sample import TYPES, Parts, metadata

STOP_SECONDS = 30


async def prepare(url: str) -> None:
    """The schema of the platform and the sample's read models."""
    await migrate(url)
    database = PostgresDatabase(url)
    await database.create_all([metadata])
    await database.close()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
async def parts(request: pytest.FixtureRequest) -> AsyncIterator[Parts]:
    """A started store; a small queue so that it can be filled."""
    clock, runtime = SimulatedClock(dt.date(2020, 1, 1)), SeededRuntime(7)
    if request.param == "memory":
        memory = MemoryDatabase([metadata])
        parts = Parts(None, MemoryLog(memory, TYPES), memory, clock, runtime)
    else:
        factory: Callable[..., str] = request.getfixturevalue("database_factory")
        database = PostgresDatabase(factory(prepare))
        parts = Parts(None, PostgresLog(database, TYPES), database, clock, runtime)
    parts.store = Writer(log=parts.log, clock=clock, runtime=runtime, types=TYPES, queue=2000)
    await parts.store.start()
    yield parts
    async with asyncio.timeout(STOP_SECONDS):  # a test that failed may have left its gates shut
        await parts.store.stop()
    await parts.database.close()
