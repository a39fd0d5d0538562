"""The tail in memory answers what the log answers, whoever appended (architecture §3: one order for all readers)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from shared.eventstore import tail as tail_module
from shared.eventstore.commands import Accepted, Append, BlindAppend, Command, Page
from shared.eventstore.database import Connection
from shared.eventstore.log import StoredRow, TailPage
from shared.eventstore.reactions import ReactionRunner
from shared.eventstore.streams import Metadata
from shared.eventstore.tail import Tail
from shared.eventstore.tailing import PreparedReaction, Recorded, derived_key
from shared.eventstore.writer import Writer
from shared.testing.store import settle
from tests.contract.eventstore.sample import METADATA, NOTE, TYPES, Noted, Paid, Parts, key, mixed_row, pay

ANNOUNCED = "liangxian.sample.announced.v1"


async def page_of(parts: Parts, how_many: int) -> None:
    """Facts of another service, two streams in turn."""
    blind = [
        BlindAppend(f"received:{n % 2}", ANNOUNCED, b'{"text":"t"}', METADATA, parts.clock.now())
        for n in range(how_many)
    ]
    await parts.store.execute_page(Page((), None, blind))


async def failing_page(parts: Parts) -> None:
    """A transaction that draws positions and is rolled back: a hole."""
    with pytest.raises(Exception, match=r".*"):
        await parts.store.execute_page(Page([pay("holes", row=mixed_row("bad", 1000))]))


async def read_through(reader: Any, after: int, limit: int, **options: Any) -> list[Recorded[Any]]:
    """Everything after a position, page by page."""
    events: list[Recorded[Any]] = []
    while True:
        page: TailPage = await reader.read_page(after, limit, **options)
        events += page.events
        if page.scanned == after:
            return events
        assert page.scanned > after
        after = page.scanned


class Counted:
    """The log, counting what is read from it."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.types = log.types
        self.rows = 0

    async def head(self) -> int:
        return int(await self._log.head())

    async def read_rows(self, after: int, limit: int, until: int | None = None) -> list[StoredRow]:
        rows: list[StoredRow] = await self._log.read_rows(after, limit, until)
        self.rows += len(rows)
        return rows


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and looks small enough to matter."""
    monkeypatch.setattr(tail_module, "BLOCK", 7)
    monkeypatch.setattr(tail_module, "BLOCKS", 3)
    monkeypatch.setattr(tail_module, "LOOK_SECONDS", (0.0, 0.0))


@pytest.mark.parametrize("window_bytes", [tail_module.WINDOW_BYTES, 300])
async def test_it_answers_as_the_log_does_whoever_appends(
    parts: Parts, window_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Singles, pages, received facts, rollbacks and another process's appends, in any order, read from any
    place with any limit, types and end, whether or not the events are large."""
    monkeypatch.setattr(tail_module, "WINDOW_BYTES", window_bytes)
    monkeypatch.setattr(tail_module, "PAGE_BYTES", window_bytes // 5)
    await asyncio.gather(*(pay_in(parts.store, n) for n in range(20)))
    other = Writer(log=parts.log, clock=parts.clock, runtime=parts.runtime, types=TYPES)
    await other.start()
    follower = Tail(parts.log, parts.runtime, window=15)  # type: ignore[arg-type]
    parts.store.tail = follower
    choose = random.Random(5)
    try:
        for step in range(40):
            act = choose.randrange(6)
            if act == 0:
                await page_of(parts, choose.randrange(1, 9))
            elif act == 1:
                await pay_in(other, step)
            elif act == 2:
                await failing_page(parts)
            elif act == 3:
                await asyncio.gather(
                    pay_in(parts.store, step), pay_in(other, step), pay_in(parts.store, -step)
                )
            elif act == 4:
                await parts.store.execute(said_more())
            else:
                await pay_in(parts.store, step)
            await compare(parts, follower, choose)
    finally:
        await other.stop()
    assert await read_through(follower, 0, 10) == await read_through(parts.log, 0, 1000)


def said_more() -> Command:
    """A command whose append says more than it does."""
    stream, more = NOTE.stream("more"), Metadata("correlation-2", campaign="370406-2021", extra={"a": "b"})
    append = Append(stream, [Noted(fen=1)], more)
    return Command("note", [stream], lambda _: Accepted([append]), METADATA)


async def pay_in(store: Any, number: int) -> None:
    await store.execute(pay(f"purse-{number % 5}", 1 + abs(number), idempotency=key(f"k{number}", b"d")))


async def compare(parts: Parts, follower: Tail, choose: random.Random) -> None:
    head = await parts.log.head()
    after, until = choose.randrange(head + 1), choose.choice([None, choose.randrange(head + 1)])
    types = choose.choice([None, frozenset({"Paid"}), frozenset({ANNOUNCED, "Noted"})])
    expected = await read_through(parts.log, after, 1000, types=types, until=until)
    assert await read_through(follower, after, choose.randrange(1, 12), types=types, until=until) == expected


async def test_what_this_process_commits_is_not_read_again(parts: Parts) -> None:
    counted = Counted(parts.log)
    parts.store.tail = follower = Tail(counted, parts.runtime)
    await follower.read_page(0, 10)
    for number in range(10):
        await parts.store.execute(pay("a", number + 1))
    await page_of(parts, 5)
    assert len(await read_through(follower, 0, 4)) == 15
    assert counted.rows == 0


class Ticking:
    """A runtime whose time is set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


async def test_what_others_append_is_looked_for_sooner_while_it_comes(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given another process that writes, then its events are seen after the short pause and everybody is told; given
    silence, then the looks become rare."""
    monkeypatch.setattr(tail_module, "LOOK_SECONDS", (0.05, 0.25))
    runtime, told = Ticking(), []
    follower = Tail(parts.log, runtime)  # type: ignore[arg-type]
    follower.found = lambda: told.append(runtime.seconds)

    place = 0

    async def seen_after(seconds: float) -> int:
        nonlocal place
        runtime.seconds += seconds
        place = (await follower.read_page(place, 10)).scanned
        return place

    assert await seen_after(0) == 0
    await parts.store.execute(pay("a", 1))
    assert [await seen_after(0.04), await seen_after(0.04)] == [0, 1]
    await parts.store.execute(pay("a", 1))
    assert [await seen_after(0.04), await seen_after(0.02)] == [1, 2]
    assert len(told) == 2
    assert {await seen_after(0.3) for _ in range(9)} == {2}
    await parts.store.execute(pay("a", 1))
    assert [await seen_after(0.2), await seen_after(0.06)] == [2, 3]
    assert len(told) == 3


async def test_readers_far_behind_read_a_block_once(parts: Parts) -> None:
    for number in range(30):
        await parts.store.execute(pay("a", number + 1))
    counted = Counted(parts.log)
    follower = Tail(counted, parts.runtime)
    for _ in range(4):
        assert len((await follower.read_page(0, 1000)).events) == 7
        assert len((await follower.read_page(7, 1000)).events) == 7
    assert counted.rows == 14


async def test_a_reader_that_slept_through_other_types_reads_none_of_them(parts: Parts) -> None:
    """Given a reader far behind a window, when nothing of its types lies between, then no row is read for it."""
    counted = Counted(parts.log)
    parts.store.tail = follower = Tail(counted, parts.runtime, window=10)
    await follower.read_page(0, 1)
    await parts.store.execute(said_more())
    for number in range(40):
        await parts.store.execute(pay("a", number + 1))
    noted = frozenset({"Noted"})
    page = await follower.read_page(1, 1000, noted)
    assert (page.events, page.scanned, counted.rows) == ([], 41, 0)
    assert (await follower.read_page(1, 1000, noted, 5)).scanned == 5
    await parts.store.execute(said_more())
    assert [item.position for item in (await follower.read_page(1, 1000, noted)).events] == [42]
    assert [item.position for item in await read_through(follower, 0, 1000, types=noted)] == [1, 42]


async def test_a_page_is_full_of_its_readers_own_events(parts: Parts) -> None:
    """Given rows of other types between a reader's own, then its page holds as many of its own as it asked for."""
    follower = Tail(parts.log, parts.runtime)  # type: ignore[arg-type]
    parts.store.tail = follower
    await follower.read_page(0, 1)
    for number in range(30):
        await parts.store.execute(said_more() if number % 10 == 9 else pay("a", number + 1))
    noted = frozenset({"Noted", ANNOUNCED})
    page = await follower.read_page(0, 2, noted)
    assert ([item.position for item in page.events], page.scanned) == ([10, 20], 20)
    page = await follower.read_page(20, 2, noted)
    assert ([item.position for item in page.events], page.scanned) == ([30], 30)


async def test_large_events_leave_its_window_sooner_and_end_a_page(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader holds is bounded by bytes, too: a roster's part is a hundred times the usual event."""
    monkeypatch.setattr(tail_module, "WINDOW_BYTES", 500)
    monkeypatch.setattr(tail_module, "PAGE_BYTES", 100)
    parts.store.tail = follower = Tail(parts.log, parts.runtime)  # type: ignore[arg-type]
    await follower.read_page(0, 10)
    await page_of(parts, 100)  # of 12 bytes each
    held = sum(entry.size for entry in follower._entries)
    assert 400 <= held <= 625
    assert held == follower._bytes
    page = await follower.read_page(follower._after, 50)
    assert (len(page.events), page.scanned) == (9, follower._after + 9)
    assert len(await read_through(follower, 0, 1000)) == 100


async def test_it_holds_no_more_than_its_window(parts: Parts) -> None:
    """A process whose readers stand still must not fill its memory."""
    follower = Tail(parts.log, parts.runtime, window=10)  # type: ignore[arg-type]
    parts.store.tail = follower
    await follower.read_page(0, 1)
    for number in range(60):
        await parts.store.execute(pay("a", number + 1))
    assert len(follower._entries) <= 10 + tail_module.BLOCK
    assert sum(map(len, follower._typed.values())) == len(follower._entries)
    await failing_page(parts)
    for number in range(60):
        await parts.store.execute(pay("b", number + 1))
    assert sum(map(len, follower._coming)) + len(follower._entries) <= 10 + tail_module.BLOCK
    assert len(await read_through(follower, 0, 50)) == 120


class Prepared(PreparedReaction):
    """Notes what ``prepare`` counted; keeps how often it was asked."""

    name = "prepared"
    handles: tuple[type[Any], ...] = (Paid,)

    def __init__(self, bad: int = 0) -> None:
        self.asked: list[int] = []
        self.bad = bad

    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> dict[int, int]:
        self.asked.append(len(events))
        if any(recorded.event.fen == self.bad for recorded in events):
            raise LookupError
        return {recorded.position: recorded.event.fen for recorded in events}

    def answer(self, recorded: Recorded[Any], prepared: dict[int, int]) -> Sequence[Any]:
        stream, note = NOTE.stream("all"), Noted(fen=prepared[recorded.position])
        key = derived_key(recorded, "note")
        return [Command("note", [stream], lambda _: Accepted([Append(stream, [note])]), METADATA, key=key)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.label)


def runner_of(parts: Parts, reaction: Prepared) -> ReactionRunner:
    return ReactionRunner(
        reaction=reaction, log=parts.log, store=parts.store, clock=parts.clock, runtime=parts.runtime
    )


async def noted(parts: Parts) -> list[int]:
    events = await parts.log.read(0, 1000, frozenset({"Noted"}))
    return [recorded.event.fen for recorded in events]


async def test_a_reaction_prepares_once_for_a_page(parts: Parts) -> None:
    for fen in (3, 1, 2):
        await parts.store.execute(pay("a", fen))
    reaction = Prepared()
    await settle([runner_of(parts, reaction)])
    assert reaction.asked == [3]
    assert await noted(parts) == [3, 1, 2]


async def test_one_bad_event_does_not_spoil_a_prepared_page(parts: Parts) -> None:
    """Each is prepared alone then; the bad one is a dead letter, the others are answered."""
    for fen in (3, 66, 2):
        await parts.store.execute(pay("a", fen, label=str(fen)))
    reaction = Prepared(bad=66)
    await settle([runner_of(parts, reaction)])
    assert reaction.asked == [3, 1, 1, 1]
    assert await noted(parts) == [3, 2]


async def test_commands_of_a_reaction_leave_no_keys(parts: Parts) -> None:
    """Their page commits with the checkpoint and so happens once; a second runner finds nothing to do."""
    await parts.store.execute(pay("a", 5))
    (paid,) = await parts.log.read(0, 10)
    await settle([runner_of(parts, Prepared())])
    await settle([runner_of(parts, Prepared())])
    assert await noted(parts) == [5]
    used = derived_key(paid, "note")
    history = await parts.log.load([], [(used.organisation, used.operation, used.key)])
    assert not history.outcomes
