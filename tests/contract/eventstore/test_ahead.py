"""Pages decided ahead of their turn (ADR 0002): never another answer than the one their turn would have brought."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from shared.eventstore.commands import Accepted, Append, Command, Guard, Loaded, Page, RowWrite
from shared.eventstore.database import Connection
from shared.kernel.errors import Refusal
from tests.contract.eventstore.sample import (
    FULL,
    METADATA,
    PURSE,
    Paid,
    Parts,
    key,
    mixed,
    mixed_row,
    pay,
)

SECONDS = 20.0
"""Long enough for the busiest machine; nothing waits for it to pass."""


class Watched:
    """A payment that tells how often, and on what, it was decided."""

    def __init__(self, purse: str, *, least: int = 0, limit: int = 1_000, idempotency: Any = None) -> None:
        stream = PURSE.stream(purse, era=2020)
        self.seen: list[int] = []
        self.decided = asyncio.Event()

        def decide(loaded: Loaded) -> Accepted | Refusal:
            before = loaded.state(stream)
            self.seen.append(before)
            self.decided.set()
            if not least <= before <= limit:
                return FULL
            return Accepted([Append(stream, [Paid(fen=100)])], response={"before": before})

        self.command = Command("pay", [stream], decide, METADATA, key=idempotency)


def held_until(decided: asyncio.Event, then: Any = None) -> Any:
    """``Page.settled`` of a page that does not commit before another was decided."""

    async def settled(_connection: Connection, _outcomes: Sequence[Any]) -> None:
        await asyncio.wait_for(decided.wait(), SECONDS)
        if then is not None:
            then()

    return settled


def tell_of_loads(parts: Parts, monkeypatch: pytest.MonkeyPatch, loaded: asyncio.Event) -> None:
    """Set when streams were loaded outside a transaction: a page is being decided ahead."""
    load = parts.log.load

    async def told(*needed: Any) -> Any:
        found = await load(*needed)
        loaded.set()
        return found

    monkeypatch.setattr(parts.log, "load", told)


async def both(parts: Parts, first: Page, second: Page) -> list[Any]:
    """Two pages handed in at once; an exception is its page's answer."""
    work = [parts.runtime.start(parts.store.execute_page(page), "page") for page in (first, second)]
    return await asyncio.gather(*work, return_exceptions=True)


async def test_a_page_is_decided_while_the_one_before_it_commits(parts: Parts) -> None:
    """Given two pages that have nothing to do with each other, the second is decided once, and before its turn."""
    watched = Watched("b")
    first = Page([pay("a")], settled=held_until(watched.decided))
    (one,), (other,) = await both(parts, first, Page([watched.command]))
    assert (one.position, other.position, watched.seen) == (1, 2, [0])


async def test_what_the_page_before_wrote_counts(parts: Parts) -> None:
    """A yes that rests on a stream written meanwhile is asked for again, and may become a no."""
    watched = Watched("a", limit=50)
    first = Page([pay("a")], settled=held_until(watched.decided))
    _, answers = await both(parts, first, Page([watched.command]))
    assert (answers, watched.seen) == ([FULL], [0, 100])
    assert await parts.log.head() == 1


async def test_a_no_is_asked_for_again_too(parts: Parts) -> None:
    """A refusal rests on no version the log would compare: it must not outlive what it was given for."""
    watched = Watched("a", least=100)
    first = Page([pay("a")], settled=held_until(watched.decided))
    _, (answer,) = await both(parts, first, Page([watched.command]))
    assert (answer.response, watched.seen) == (b'{"before":100}', [0, 100])


async def test_a_key_spent_meanwhile_is_replayed(parts: Parts) -> None:
    watched = Watched("b", idempotency=key("k"))
    first = Page([pay("a", idempotency=key("k"))], settled=held_until(watched.decided))
    (one,), (again,) = await both(parts, first, Page([watched.command]))
    assert (again.position, again.replayed, watched.seen) == (one.position, True, [0])
    assert await parts.log.head() == 1


async def test_a_day_that_ended_has_the_page_decided_again(parts: Parts) -> None:
    """What was decided on a day that is over is not committed into the next."""
    watched = Watched("b")
    tomorrow = held_until(watched.decided, lambda: parts.clock.begin(dt.date(2020, 1, 2)))
    await both(parts, Page([pay("a")], settled=tomorrow), Page([watched.command]))
    (event,) = [item for item in await parts.log.read(0, 10) if item.stream == "purse:b"]
    assert (watched.seen, event.recorded_at.date()) == ([0, 0], dt.date(2020, 1, 2))


async def test_after_a_transaction_that_failed_nothing_decided_ahead_is_believed(parts: Parts) -> None:
    """Whether it was committed is not known where a connection was lost."""

    def fail() -> None:
        raise LookupError

    watched = Watched("b")
    failed, (other,) = await both(
        parts, Page([pay("a")], settled=held_until(watched.decided, fail)), Page([watched.command])
    )
    assert isinstance(failed, LookupError)
    assert (other.position > 0, watched.seen) == (True, [0, 0])


async def test_rows_written_meanwhile_may_be_what_a_fact_source_knows(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rows:
        name = "rows"

        async def load(self, connection: Connection, keys: Sequence[Any]) -> dict[Any, Any]:
            rows = await connection.execute(mixed.select())
            return {row.id: row.number for row in rows if row.id in keys}

    source, seen, decided = Rows(), [], asyncio.Event()
    stream = PURSE.stream("b", era=2020)

    def decide(loaded: Loaded) -> Accepted:
        seen.append(loaded.fact(source, "row"))
        return Accepted([Append(stream, [Paid(fen=1)])])

    tell_of_loads(parts, monkeypatch, decided)
    writes = Command(
        "keep",
        [stream_a := PURSE.stream("a", era=2020)],
        lambda _: Accepted([Append(stream_a, [Paid(fen=1)])], rows=[RowWrite(mixed, mixed_row("row", 7))]),
        METADATA,
    )
    page = Page([Command("look", [stream], decide, METADATA, facts=[(source, ["row"])])])
    await both(parts, Page([writes], settled=held_until(decided)), page)
    assert seen[-1] == 7


async def test_a_source_of_read_models_alone_knows_no_guards(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page whose sources say so is decided once, though the page before it took guards (a file of payments)."""

    class ReadModel:
        name = "read-model"
        beside = False

        async def load(self, _connection: Connection, _keys: Sequence[Any]) -> dict[Any, Any]:
            return {}

    watched, other, loaded = Watched("b"), PURSE.stream("a", era=2020), asyncio.Event()
    tell_of_loads(parts, monkeypatch, loaded)
    guard = Guard("order", "1", "digest", Refusal("ORDER_NO_TAKEN"))
    guarded = Command("pay", [other], lambda _: Accepted([Append(other, [Paid(fen=1)])], [guard]), METADATA)
    looking = msgspec.structs.replace(watched.command, facts=[(ReadModel(), ["p"])])
    await both(parts, Page([guarded], settled=held_until(loaded)), Page([looking]))
    assert watched.seen == [0]


async def test_a_guard_taken_meanwhile_may_be_what_a_fact_source_knows(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-23, I-28: who leaves out what others hold leaves it out, too, when it was taken at the last moment."""

    class Held:
        name = "held"

        async def load(self, connection: Connection, keys: Sequence[Any]) -> Any:
            return await parts.log.guard_holders("line", list(keys))

    source, seen, decided = Held(), [], asyncio.Event()
    stream, other = PURSE.stream("b", era=2020), PURSE.stream("a", era=2020)
    taken = Refusal("ALREADY_VOUCHERED")

    def decide(loaded: Loaded) -> Accepted:
        free = loaded.fact(source, "L1") is None
        seen.append(free)
        guards = [Guard("line", "L1", "voucher", taken)] if free else []
        return Accepted([Append(stream, [Paid(fen=2 if free else 1)])], guards)

    tell_of_loads(parts, monkeypatch, decided)
    refund = Command(
        "refund",
        [other],
        lambda _: Accepted([Append(other, [Paid(fen=1)])], [Guard("line", "L1", "refund", taken)]),
        METADATA,
    )
    page = Page([Command("voucher", [stream], decide, METADATA, facts=[(source, ["L1"])])])
    _, (answer,) = await both(parts, Page([refund], settled=held_until(decided)), page)
    assert not isinstance(answer, Refusal)
    assert seen[-1] is False


async def test_a_look_ahead_that_fails_costs_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is decided in its own transaction then."""
    failed = asyncio.Event()

    async def broken(*_: Any) -> Any:
        monkeypatch.undo()
        failed.set()
        raise LookupError

    monkeypatch.setattr(parts.log, "load", broken)
    _, (other,) = await both(parts, Page([pay("a")], settled=held_until(failed)), Page([pay("b", limit=100)]))
    assert other.response == b'{"before":0}'
