"""The database goes away under the writer: what was answered stands, what is asked again happens once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from shared.eventstore.commands import Done
from shared.eventstore.log import Failure
from shared.eventstore.postgres import PostgresDatabase, Timeouts
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.reactions import ReactionRunner
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from tests.contract.eventstore.conftest import prepare
from tests.contract.eventstore.sample import TYPES, Notes, key, notes_in, pay

pytestmark = pytest.mark.postgres

SEVER = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
async def log(database_factory: Callable[..., str]) -> AsyncIterator[PostgresLog]:
    """A log of its own."""
    url = database_factory(prepare)
    database = PostgresDatabase(url, timeouts=Timeouts(idle_in_transaction=0.2))
    yield PostgresLog(database, TYPES)
    await database.close()


@pytest.fixture
async def surgeon(log: PostgresLog) -> AsyncIterator[asyncpg.Connection]:
    """A connection that ends all others of the database."""
    address = log.database._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


async def test_keyed_commands_happen_once_though_connections_are_cut(
    log: PostgresLog, surgeon: asyncpg.Connection
) -> None:
    """Given 300 callers who ask again after an error, when all connections are cut ten times, then each
    command stands in the log once and each caller has its answer."""
    store = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES, cap=16)
    await store.start()
    seen: list[Exception] = []

    async def call(number: int) -> Done:
        while True:
            try:
                outcome = await store.execute(pay(f"p{number}", idempotency=key(f"k{number}")))
            except Exception as error:  # noqa: BLE001 - whatever a cut connection looks like
                seen.append(error)
                await asyncio.sleep(0)
                continue
            assert isinstance(outcome, Done)
            return outcome

    callers = [asyncio.ensure_future(call(number)) for number in range(300)]
    for _ in range(10):
        await surgeon.fetchval(SEVER)
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*callers)
    await store.stop()
    assert {log.failure(error) for error in seen} <= {Failure.CONNECTION}, seen
    events = await log.read(0, 1000)
    assert sorted(event.stream for event in events) == sorted(f"purse:p{n}" for n in range(300))
    assert sorted(outcome.position for outcome in outcomes) == [event.position for event in events]


async def test_a_command_without_a_key_is_not_asked_twice(
    log: PostgresLog, surgeon: asyncpg.Connection
) -> None:
    """Nobody knows whether a cut commit happened: the caller is told, the writer does not guess."""
    store = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES)
    await store.start()
    tries = 0

    async def cut(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise asyncpg.ConnectionDoesNotExistError

    log.append = cut  # type: ignore[assignment,method-assign]
    keyless, keyed = await asyncio.gather(
        store.execute(pay("a")), store.execute(pay("b", idempotency=key("k"))), return_exceptions=True
    )
    assert isinstance(keyless, asyncpg.ConnectionDoesNotExistError)
    assert isinstance(keyed, asyncpg.ConnectionDoesNotExistError)
    assert tries == 2
    await store.stop()


async def test_a_frozen_page_is_ended_by_the_server_and_writes_nothing(log: PostgresLog) -> None:
    """Given a transaction that holds the append lock and says nothing, then the server ends it: the others
    go on, and it has written nothing."""
    store = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES)
    await store.start()

    async def freeze() -> None:
        async with log.transaction() as transaction:
            await transaction.connection.driver.execute(  # type: ignore[attr-defined]
                "SELECT pg_advisory_xact_lock(7205759403792793600)"
            )
            frozen.set()
            await store.execute(pay("a"))

    frozen = asyncio.Event()
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the class depends on when the cut is noticed
        await freeze()
    assert log.failure(raised.value) is Failure.CONNECTION
    assert [event.stream for event in await log.read(0, 10)] == ["purse:a"]
    await store.stop()


async def test_a_reaction_survives_cuts(log: PostgresLog, surgeon: asyncpg.Connection) -> None:
    """The checkpoint stands in the transaction of the effects: nothing is noted twice, nothing lost."""
    store = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=TYPES)
    await store.start()
    await store.execute_bulk([pay("a", 1) for _ in range(200)])
    runner = ReactionRunner(
        reaction=Notes(), log=log, store=store, clock=WallClock(), runtime=SystemRuntime(), page=10
    )
    cuts = 0
    seen: list[Exception] = []
    while True:
        if cuts < 5:
            cuts += 1
            await surgeon.fetchval(SEVER)
        try:
            if not await runner.run_once():
                break
        except Exception as error:  # noqa: BLE001 - whatever a cut connection looks like
            seen.append(error)
    assert {log.failure(error) for error in seen} <= {Failure.CONNECTION}, seen
    assert await notes_in(log, "a") == [1] * 200
    await store.stop()
