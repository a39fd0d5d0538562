"""The store in memory: determinism, transactions, and the builder for tests of services."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import asyncpg
import pytest

from shared.eventstore.commands import Done
from shared.eventstore.postgres import failure_of
from shared.eventstore.rebuild import rebuild
from shared.testing.store import memory_store, settle
from tests.contract.eventstore.sample import (
    TYPES,
    Notes,
    Totals,
    all_rows,
    key,
    metadata,
    mixed,
    mixed_row,
    notes_in,
    pay,
    totals,
)


async def history(seed: int) -> list[Any]:
    async with memory_store(TYPES, [metadata], seed=seed, today=dt.date(2020, 3, 1)) as parts:
        await parts.store.execute_bulk([pay(f"p{n % 7}", n) for n in range(50)])
        await parts.settle([Totals()], [Notes()])
        assert (await rebuild(parts.log, parts.database, Totals())).equal
        return list(parts.log.rows)


async def test_one_seed_gives_one_history() -> None:
    """Ids, times and order: byte for byte (architecture §5: determinism)."""
    first, again, other = await history(1), await history(1), await history(2)
    assert first == again
    assert [row.data for row in first] == [row.data for row in other]
    assert [row.event_id for row in first] != [row.event_id for row in other]


async def test_settle_brings_everything_to_rest() -> None:
    async with memory_store(TYPES, [metadata]) as parts:
        await parts.store.execute(pay("a", 5))
        assert await parts.settle([Totals()], [Notes()]) > 0
        assert await parts.settle([Totals()], [Notes()]) == 0
        assert await notes_in(parts.log, "a") == [5]
        assert [row["fen"] for row in await all_rows(parts.database, totals)] == [5]


async def test_settle_reports_a_system_that_never_rests() -> None:
    class Restless:
        async def run_once(self) -> int:
            return 1

    with pytest.raises(RuntimeError, match="rest"):
        await settle([Restless()], limit=5)


async def test_settle_fails_with_a_projection_that_stopped() -> None:
    class Stopped(Totals):
        async def apply(self, connection: Any, events: Any) -> None:
            raise LookupError

    async with memory_store(TYPES, [metadata]) as parts:
        await parts.store.execute(pay("a", 5))
        with pytest.raises(AssertionError, match="LookupError"):
            await parts.settle([Stopped()])


async def test_log_and_tables_roll_back_together() -> None:
    async with memory_store(TYPES, [metadata]) as parts:
        with pytest.raises(Exception, match="CHECK"):
            await parts.store.execute(pay("a", row=mixed_row("r", 5000), receipt="r", idempotency=key("k")))
        assert parts.log.rows == []
        outcome = await parts.store.execute(pay("a", row=mixed_row("r"), receipt="r", idempotency=key("k")))
        assert isinstance(outcome, Done)
        assert not outcome.replayed
        assert len(await all_rows(parts.database, mixed)) == 1


async def test_a_transaction_inside_a_transaction_is_an_error_not_a_standstill() -> None:
    async with memory_store(TYPES, [metadata]) as parts, parts.database.read():
        with pytest.raises(RuntimeError, match="already open"):
            async with parts.database.begin():
                raise AssertionError("never reached")


async def test_a_statement_that_took_too_long_is_not_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """57014: nobody of the batch is to blame; each is told once, nothing is written, and the next batch goes on."""
    asked = 0

    async def late(_: Any) -> Any:
        nonlocal asked
        asked += 1
        raise asyncpg.QueryCanceledError("57014")

    async with memory_store(TYPES, seed=1, today=dt.date(2020, 3, 1)) as parts:
        with monkeypatch.context() as busy:
            busy.setattr(parts.log, "append", late)
            busy.setattr(parts.log, "failure", failure_of)
            commands = [parts.store.execute(pay(name)) for name in ("a", "b", "c")]
            outcomes = await asyncio.gather(*commands, return_exceptions=True)
        assert [type(each) for each in outcomes] == [asyncpg.QueryCanceledError] * 3
        assert (asked, await parts.log.head()) == (1, 0)
        assert isinstance(await parts.store.execute(pay("a")), Done)
