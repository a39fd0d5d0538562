"""Two batches of singles at the database at once (ADR 0056): as safe as one after the other, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from shared.eventstore.commands import Accepted, Append, Command, Done, Loaded, Lookup, Page
from shared.eventstore.database import Row, among
from shared.eventstore.log import Proposal, Verdict
from shared.eventstore.tail import Tail
from shared.eventstore.writer import WORTH, Writer
from shared.kernel.errors import OverloadedError, Refusal
from tests.contract.eventstore.sample import FULL, METADATA, PURSE, Paid, Parts, key, mixed_row, pay, totals


class Held:
    """The log's ``append``, each call of which waits until it is let go. asked: events of each, in order."""

    def __init__(self, parts: Parts) -> None:
        self._append = parts.log.append
        self._gates: list[asyncio.Event] = []
        self._came = asyncio.Condition()
        self.asked: list[int] = []
        parts.log.append = self  # type: ignore[method-assign, assignment]

    async def __call__(self, proposal: Proposal) -> Verdict:
        gate = asyncio.Event()
        self._gates.append(gate)
        async with self._came:
            self.asked.append(len(proposal.events))
            self._came.notify_all()
        await gate.wait()
        return await self._append(proposal)

    async def calls(self, count: int) -> None:
        """Until so many have come."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: len(self.asked) >= count)

    def let_go(self, number: int) -> None:
        self._gates[number].set()

    def let_all_go(self) -> None:
        """Those that wait, and those to come."""
        for gate in self._gates:
            gate.set()
        self._gates = _Open()


class _Open(list[asyncio.Event]):
    def append(self, gate: asyncio.Event) -> None:
        gate.set()


def started(parts: Parts, *commands: Command) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(parts.store.execute(command)) for command in commands]


def others(count: int, fen: int = 1) -> list[Command]:
    return [pay(f"other{number}", fen) for number in range(count)]


async def answers(*tasks: asyncio.Task[Any]) -> list[Any]:
    async with asyncio.timeout(10):
        return [await task for task in tasks]


async def two_aloft(parts: Parts) -> tuple[Held, list[asyncio.Task[Any]]]:
    """A batch of one at the database, and one of WORTH beside it."""
    held = Held(parts)
    tasks = started(parts, pay("a"))
    await held.calls(1)
    tasks += started(parts, *others(WORTH))
    await held.calls(2)
    return held, tasks


async def test_a_second_batch_starts_beside_one_that_commits_when_it_is_worth_it(parts: Parts) -> None:
    """Given a batch at the database, then few commands wait for it and enough of them do not."""
    held = Held(parts)
    first = started(parts, pay("a"))
    await held.calls(1)
    second = started(parts, *others(WORTH - 1))
    await asyncio.sleep(0)
    assert len(parts.store._singles) == WORTH - 1
    second += started(parts, pay("b"))
    await held.calls(2)
    assert held.asked == [1, WORTH]
    held.let_all_go()
    assert all(isinstance(answer, Done) for answer in await answers(*first, *second))


async def test_what_waits_together_goes_in_two_halves(parts: Parts) -> None:
    """Given enough for two, then one is decided while the other commits, whichever was loaded sooner; answers of a
    closed loop that come together would otherwise be asked together for ever, and the process would wait for each
    commit."""
    held = Held(parts)
    tasks = started(parts, *others(2 * WORTH + 1))
    await held.calls(2)
    assert sorted(held.asked) == [WORTH, WORTH + 1]
    held.let_all_go()
    assert len(await answers(*tasks)) == 2 * WORTH + 1


async def test_whoever_submits_is_told_once(parts: Parts) -> None:
    """No task waits: the answer, or the exception, comes to the caller."""
    told: list[Any] = []
    came = asyncio.Event()

    def then(answer: Any) -> None:
        told.append(answer)
        came.set()

    parts.store.submit(pay("one", 1), then)
    async with asyncio.timeout(10):
        await came.wait()
    assert [type(answer) for answer in told] == [Done]
    await parts.store.stop()
    with pytest.raises(OverloadedError):
        parts.store.submit(pay("two", 1), then)
    assert len(told) == 1


async def test_no_third_batch_starts(parts: Parts) -> None:
    held, tasks = await two_aloft(parts)
    tasks += started(parts, *[pay(f"third{number}") for number in range(3 * WORTH)])
    await asyncio.sleep(0)
    assert len(parts.store._singles) == 3 * WORTH
    held.let_go(1)
    await held.calls(3)
    assert held.asked == [1, WORTH, 3 * WORTH]
    held.let_all_go()
    await answers(*tasks)


async def test_the_later_batch_may_commit_first(parts: Parts) -> None:
    """Given the second batch is written before the first, then readers in this process get both, in order."""
    tail = Tail(parts.log, parts.runtime)  # type: ignore[arg-type]
    parts.store.tail = tail
    await tail.read_page(0, 1)
    announced: list[int] = []
    parts.store.subscribe(announced.append)
    held = Held(parts)
    first = started(parts, pay("a", 7))
    await held.calls(1)
    second = started(parts, *others(WORTH))
    await held.calls(2)
    held.let_go(1)
    await answers(*second)
    held.let_all_go()
    [answer] = await answers(*first)
    assert answer.position == WORTH + 1 == announced[-1]
    page = await tail.read_page(0, 100)
    assert [each.position for each in page.events] == list(range(1, WORTH + 2))
    assert page.events[-1].event == Paid(fen=7)


async def test_answers_may_come_back_in_another_order_than_commits(parts: Parts) -> None:
    """Given the first batch is committed first but its answer comes last, then readers still get both, once."""
    tail = Tail(parts.log, parts.runtime)  # type: ignore[arg-type]
    parts.store.tail = tail
    await tail.read_page(0, 1)
    inner, late, committed = parts.log.append, asyncio.Event(), asyncio.Event()

    async def append(proposal: Proposal) -> Verdict:
        verdict = await inner(proposal)
        if len(proposal.events) == 1:
            committed.set()
            await late.wait()
        return verdict

    parts.log.append = append  # type: ignore[method-assign]
    first = started(parts, pay("a", 7))
    await committed.wait()
    await answers(*started(parts, *others(WORTH)))
    assert parts.store.position == WORTH + 1
    page = await tail.read_page(0, 100)
    assert [each.position for each in page.events] == list(range(1, WORTH + 2))
    late.set()
    [answer] = await answers(*first)
    assert (answer.position, parts.store.position) == (1, WORTH + 1)
    again = await tail.read_page(0, 100)
    assert [each.position for each in again.events] == list(range(1, WORTH + 2))


async def test_who_touches_a_stream_or_key_that_is_aloft_waits_for_it(parts: Parts) -> None:
    """Given a stream in a batch aloft, then who needs it is decided on what that batch wrote, at the first attempt."""
    held = Held(parts)
    first = started(parts, pay("a", 10, idempotency=key("k")))
    await held.calls(1)
    same = started(parts, pay("a", 10, limit=10), pay("a", 10, idempotency=key("k")))
    free = started(parts, *others(WORTH))
    await held.calls(2)
    assert held.asked == [1, WORTH]
    held.let_all_go()
    [paid] = await answers(*first)
    full, again = await answers(*same)
    assert full == FULL
    assert (again.response, again.position, again.replayed) == (paid.response, paid.position, True)
    await answers(*free)


async def test_one_hot_stream_is_written_in_turn(parts: Parts) -> None:
    """Given many commands on one stream, then none is lost or refused for the others' sake."""
    held = Held(parts)
    tasks = started(parts, pay("a", 1))
    await held.calls(1)
    for _ in range(3 * WORTH):
        tasks += started(parts, pay("a", 1))
        await asyncio.sleep(0)
    assert held.asked == [1]
    held.let_all_go()
    assert [answer.position for answer in await answers(*tasks)] == list(range(1, 3 * WORTH + 2))


async def test_of_two_batches_that_want_one_guard_the_first_has_it(parts: Parts) -> None:
    """A receipt may be used once for ever, whoever comes first and in whichever batch (I-19)."""
    held = Held(parts)
    first = started(parts, pay("a", receipt="r"))
    await held.calls(1)
    second = started(parts, pay("b", receipt="r"), *others(WORTH))
    await held.calls(2)
    held.let_all_go()
    found = [*await answers(*first), *await answers(*second)]
    assert sum(isinstance(answer, Refusal) for answer in found[:2]) == 1
    assert all(isinstance(answer, Done) for answer in found[2:])


async def test_a_page_waits_until_both_have_landed(parts: Parts) -> None:
    """And singles wait for the page: no lane starves."""
    held, tasks = await two_aloft(parts)
    page = asyncio.create_task(parts.store.execute_page(Page([pay("page")])))
    tasks += started(parts, *[pay(f"later{number}") for number in range(WORTH)])
    held.let_all_go()
    await answers(*tasks)
    [answer] = await page
    assert isinstance(answer, Done)
    assert answer.position == WORTH + 2


async def test_callers_that_ask_again_at_once_do_not_keep_a_page_waiting(parts: Parts) -> None:
    """Given callers that ask again in the moment they are answered, as many connections do, then a page and a bulk
    slice have their turn all the same."""
    asked = 0
    over = False
    quiet = asyncio.Event()

    def ask() -> None:
        nonlocal asked
        asked += 1
        parts.store.submit(pay(f"busy{asked % 3}", 1), again)

    def again(_: Any) -> None:
        if over or asked == 2_000:
            quiet.set()
        else:
            asyncio.get_running_loop().call_soon(
                ask
            )  # when the batch has landed, and before the writer knows

    ask()
    async with asyncio.timeout(30):
        [paged] = await parts.store.execute_page(Page([pay("page", 5)]))
        [bulk] = await parts.store.execute_bulk([pay("bulk", 5)])
        over = True
        await quiet.wait()
    assert all(isinstance(answer, Done) for answer in (paged, bulk))
    assert asked < 100


async def test_stopping_finishes_both(parts: Parts) -> None:
    held, tasks = await two_aloft(parts)
    tasks += started(parts, pay("last"))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(parts.store.stop())
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await parts.store.execute(pay("too late"))
    held.let_all_go()
    await stopping
    assert all(isinstance(answer, Done) for answer in await answers(*tasks))


async def test_a_writer_that_is_cancelled_leaves_nobody_waiting(parts: Parts) -> None:
    """Whoever is in either batch, or in none yet, is told to ask again."""
    store = Writer(log=parts.log, clock=parts.clock, runtime=parts.runtime, types=parts.log.types)
    held = Held(parts)
    await store.start()
    tasks = [asyncio.create_task(store.execute(pay("a")))]
    await held.calls(1)
    tasks += [asyncio.create_task(store.execute(command)) for command in others(WORTH)]
    await held.calls(2)
    tasks += [asyncio.create_task(store.execute(pay("last")))]
    await asyncio.sleep(0)
    assert store._work is not None
    store._work.cancel()
    async with asyncio.timeout(10):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in found} == {OverloadedError}


async def test_a_writer_that_is_cancelled_while_a_batch_is_parted_leaves_nobody_waiting(parts: Parts) -> None:
    """Given a batch that failed and is tried in halves, then whoever is in the half to come is told as well."""
    store = Writer(log=parts.log, clock=parts.clock, runtime=parts.runtime, types=parts.log.types)
    held = Held(parts)
    await store.start()
    broken = pay("broken", row=mixed_row("r", 1000))
    tasks = [
        asyncio.create_task(store.execute(command)) for command in (pay("a"), pay("b"), pay("c"), broken)
    ]
    await held.calls(1)  # the first half of the batch: the whole of it failed before its events were written
    assert store._work is not None
    store._work.cancel()
    async with asyncio.timeout(10):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    assert held.asked == [2]
    assert {type(answer) for answer in found} == {OverloadedError}


class Totals(Lookup):
    """Fen per purse, from the read model."""

    name = "totals"
    statement = sa.select(totals.c.purse, totals.c.fen).where(among(totals.c.purse))

    def facts(self, rows: Sequence[Row]) -> dict[str, int]:
        return {row.purse: row.fen for row in rows}


class Full(Lookup):
    """Purses that hold as much as is asked for."""

    name = "full"
    statement = sa.select(totals.c.purse, totals.c.fen).where(among(totals.c.fen), totals.c.fen > 0)

    def facts(self, rows: Sequence[Row]) -> dict[int, str]:
        return {row.fen: row.purse for row in rows}


async def test_what_can_be_looked_up_comes_with_the_streams(parts: Parts) -> None:
    """Given two lookups in a batch, with keys known, unknown and repeated, then each command gets its facts, and
    nothing is asked apart from the streams."""
    async with parts.database.begin() as connection:
        for purse, fen in (("a", 5), ("b", 9)):
            row = {"purse": purse, "fen": fen, "payments": 1, "first_label": "", "last_label": ""}
            await connection.upsert(totals, [row])
    known, full = Totals(), Full()

    def told(purse: str, fen: int) -> Command:
        stream = PURSE.stream(purse, era=2020)

        def decide(loaded: Loaded) -> Accepted:
            response = [loaded.state(stream), loaded.fact(known, purse), loaded.fact(full, fen)]
            return Accepted([Append(stream, [Paid(fen=1)])], response=response)

        return Command("tell", [stream], decide, METADATA, facts=[(known, [purse]), (full, [fen])])

    await parts.store.execute(pay("a", 3))
    read = parts.database.read
    parts.database.read = None if not hasattr(parts.log, "rows") else read  # type: ignore[method-assign, assignment]
    try:
        found = await asyncio.gather(*map(parts.store.execute, [told("a", 9), told("b", 5), told("c", 5)]))
    finally:
        parts.database.read = read  # type: ignore[method-assign]
    assert [answer.response for answer in found if isinstance(answer, Done)] == [
        b'[3,5,"b"]',
        b'[0,9,"a"]',
        b'[0,null,"a"]',
    ]
