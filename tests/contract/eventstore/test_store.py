"""What every store must do: order, idempotency, guards, groups, pages (architecture §3: event store)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.eventstore import postgres_log
from shared.eventstore.commands import (
    Accepted,
    Append,
    BlindAppend,
    Command,
    Done,
    Loaded,
    Page,
    StaleCheckpointError,
)
from shared.eventstore.database import Connection
from shared.eventstore.decision import UndeclaredStreamError
from shared.eventstore.log import History
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.types import BadEventError
from shared.eventstore.writer import Writer
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import OverloadedError, Refusal
from tests.contract.eventstore.sample import (
    FULL,
    METADATA,
    PURSE,
    TAKEN,
    TYPES,
    Announced,
    KnownPurses,
    Paid,
    Parts,
    all_rows,
    key,
    mixed,
    mixed_row,
    pay,
)


def done(outcome: Any) -> Done:
    assert isinstance(outcome, Done), outcome
    return outcome


async def together(parts: Parts, *commands: Command) -> list[Any]:
    """Queue commands so that they stand in one batch; exceptions are answers."""
    return await asyncio.gather(*map(parts.store.execute, commands), return_exceptions=True)


class TestAppending:
    async def test_an_event_is_read_back_as_it_was(self, parts: Parts) -> None:
        """Given nothing, when a command is accepted, then its event stands in the log with who, when, why."""
        at = dt.datetime(2019, 12, 31, 16, 30, tzinfo=dt.UTC)
        outcome = done(await parts.store.execute(pay("a", 5, label="中\u0000文", occurred_at=at)))
        assert (outcome.response, outcome.status, outcome.replayed) == (b'{"before":0}', 201, False)
        (recorded,) = await parts.log.read(0, 10)
        assert recorded.position == outcome.position == await parts.log.head()
        assert recorded.event == Paid(fen=5, label="中\u0000文")
        assert (recorded.era, recorded.stream, recorded.version) == (2020, "purse:a", 1)
        assert recorded.metadata == METADATA
        assert recorded.occurred_at == at
        assert recorded.occurred_at.tzinfo is SHANGHAI
        assert recorded.recorded_at == parts.clock.now()

    async def test_names_of_any_characters_stay_apart(self, parts: Parts) -> None:
        """Given names that hold what joins texts on their way, then each stream keeps its own events."""
        names = ["a\x01b", "a", "b\x01", "\x01|1|", 'c"\\,{}', "中\x01|1|\x01|2|"]
        times = [dt.datetime(2020, 9, 1 + number % 3, tzinfo=SHANGHAI) for number in range(len(names))]
        for fen in (1, 2):
            commands = [pay(name, fen, occurred_at=at) for name, at in zip(names, times, strict=True)]
            outcomes = [done(outcome) for outcome in await together(parts, *commands)]
            assert {outcome.response for outcome in outcomes} == {b'{"before":%d}' % (fen - 1)}
        blind = [
            BlindAppend(f"received:{name}", "Paid", b'{"fen":3}', METADATA, at)
            for name, at in zip(names, times, strict=True)
        ]
        await parts.store.execute_page(Page((), blind=blind))
        for name, at in zip(names, times, strict=True):
            stored = await parts.log.read_stream(f"purse:{name}", 2020)
            assert [(item.event.fen, item.version, item.occurred_at) for item in stored] == [
                (1, 1, at),
                (2, 2, at),
            ]
            (fact,) = await parts.log.read_stream(f"received:{name}")
            assert (fact.event.fen, fact.version, fact.occurred_at) == (3, 1, at)

    async def test_commands_of_a_batch_see_their_predecessors(self, parts: Parts) -> None:
        outcomes = await together(parts, *[pay("a", 10, limit=30) for _ in range(5)])
        assert [getattr(outcome, "response", outcome) for outcome in outcomes] == [
            b'{"before":0}',
            b'{"before":10}',
            b'{"before":20}',
            FULL,
            FULL,
        ]
        assert [item.version for item in await parts.log.read_stream("purse:a", 2020)] == [1, 2, 3]

    async def test_a_refusal_writes_nothing(self, parts: Parts) -> None:
        assert await parts.store.execute(pay("a", 10, limit=5, idempotency=key("k"))) == FULL
        assert await parts.log.head() == 0
        assert isinstance(await parts.store.execute(pay("a", 10, idempotency=key("k"))), Done)

    async def test_only_declared_streams_may_be_touched(self, parts: Parts) -> None:
        declared, other = PURSE.stream("a"), PURSE.stream("b")
        command = Command("pay", [declared], lambda _: Accepted([Append(other, [Paid(fen=1)])]), METADATA)
        bad, good = await together(parts, command, pay("c"))
        assert isinstance(bad, UndeclaredStreamError)
        assert isinstance(good, Done)
        assert [item.stream for item in await parts.log.read(0, 10)] == ["purse:c"]

    async def test_equal_ids_in_other_eras_are_other_streams(self, parts: Parts) -> None:
        for era in (0, 2020, 2021):
            stream = PURSE.stream("a", era=era)
            accepted = Accepted([Append(stream, [Paid(fen=era)])])
            done(await parts.store.execute(Command("pay", [stream], lambda _, a=accepted: a, METADATA)))
        assert [item.event.fen for item in await parts.log.read_stream("purse:a", 2021)] == [2021]
        assert [item.version for item in await parts.log.read(0, 10)] == [1, 1, 1]

    async def test_a_bad_event_is_its_commands_matter_alone(self, parts: Parts) -> None:
        """Given neighbours in one batch, when one event cannot be decoded again, then only it fails."""
        stream = PURSE.stream("bad")
        wrong: Any = "a hundred"
        command = Command("pay", [stream], lambda _: Accepted([Append(stream, [Paid(fen=wrong)])]), METADATA)
        before, bad, after = await together(parts, pay("a"), command, pay("a"))
        assert isinstance(bad, BadEventError)
        assert (done(before).response, done(after).response) == (b'{"before":0}', b'{"before":100}')

    async def test_an_exception_of_a_decision_reaches_its_caller_only(self, parts: Parts) -> None:
        def decide(_: Loaded) -> Accepted:
            raise ArithmeticError

        bad, good = await together(parts, Command("pay", [], decide, METADATA), pay("a"))
        assert isinstance(bad, ArithmeticError)
        assert isinstance(good, Done)

    async def test_a_bad_row_of_one_command_leaves_its_neighbours_alone(self, parts: Parts) -> None:
        """Given 40 commands in one batch, when one row breaks a constraint of the database, then the other
        39 commit (a naive batch failed all of them)."""
        commands = [pay(f"p{n}", row=mixed_row(f"r{n}", 5000 if n == 17 else n)) for n in range(40)]
        outcomes = await together(parts, *commands)
        assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [17]
        assert len(await parts.log.read(0, 100)) == 39
        assert len(await all_rows(parts.database, mixed)) == 39

    async def test_a_cancelled_callers_command_still_commits(self, parts: Parts) -> None:
        caller = asyncio.ensure_future(parts.store.execute(pay("a", idempotency=key("k"))))
        await asyncio.sleep(0)
        caller.cancel()
        replay = done(await parts.store.execute(pay("a", idempotency=key("k"))))
        assert replay.replayed
        assert len(await parts.log.read(0, 10)) == 1

    async def test_a_full_queue_refuses(self, parts: Parts) -> None:
        small = Writer(log=parts.log, clock=parts.clock, runtime=parts.runtime, types=TYPES, queue=3)
        await small.start()
        outcomes = await asyncio.gather(*[small.execute(pay("a")) for _ in range(5)], return_exceptions=True)
        await small.stop()
        assert [type(outcome) for outcome in outcomes] == [Done] * 3 + [OverloadedError] * 2
        with pytest.raises(OverloadedError):
            await small.execute(pay("a"))

    async def test_bulk_answers_in_order(self, parts: Parts) -> None:
        outcomes = await parts.store.execute_bulk([pay(f"p{n % 700}", 1, limit=1) for n in range(1400)])
        assert all(isinstance(outcome, Done) for outcome in outcomes[:700])
        assert outcomes[700:] == [FULL] * 700
        assert await parts.log.head() == 700

    async def test_singles_go_before_bulk(self, parts: Parts) -> None:
        bulk = asyncio.ensure_future(parts.store.execute_bulk([pay(f"b{n}") for n in range(1600)]))
        await asyncio.sleep(0)
        single = done(await parts.store.execute(pay("single")))
        await bulk
        assert single.position <= 501

    async def test_facts_are_one_query_per_batch(self, parts: Parts) -> None:
        source = KnownPurses()

        def ask(purse: str) -> Command:
            return Command(
                "ask",
                [],
                lambda loaded: Accepted(response=loaded.fact(source, purse)),
                METADATA,
                facts=[(source, [purse])],
            )

        outcomes = await together(parts, ask("purse:a"), ask("purse:b"))
        assert [done(outcome).response for outcome in outcomes] == [b"null", b"null"]
        assert source.asked == [["purse:a", "purse:b"]]


class TestIdempotency:
    async def test_a_repeated_key_gets_the_first_answer(self, parts: Parts) -> None:
        first = done(await parts.store.execute(pay("a", idempotency=key("k"))))
        await parts.store.execute(pay("b"))
        again = done(await parts.store.execute(pay("a", idempotency=key("k"))))
        assert again == Done(first.response, first.status, first.position, replayed=True)
        assert len(await parts.log.read_stream("purse:a", 2020)) == 1

    async def test_the_same_key_for_another_command_is_refused(self, parts: Parts) -> None:
        await parts.store.execute(pay("a", idempotency=key("k")))
        other = await parts.store.execute(pay("a", idempotency=key("k", b"other")))
        assert isinstance(other, Refusal)
        assert other.code == "IDEMPOTENCY_KEY_REUSED"

    async def test_equal_keys_in_one_batch_are_merged(self, parts: Parts) -> None:
        outcomes = await together(parts, *[pay("a", idempotency=key("k")) for _ in range(3)])
        assert [done(outcome).replayed for outcome in outcomes] == [False, True, True]
        assert len(await parts.log.read_stream("purse:a", 2020)) == 1

    async def test_one_key_for_two_commands_in_one_batch(self, parts: Parts) -> None:
        first, second = await together(
            parts, pay("a", idempotency=key("k")), pay("b", idempotency=key("k", b"other"))
        )
        assert isinstance(first, Done)
        assert second.code == "IDEMPOTENCY_KEY_REUSED"

    async def test_a_key_whose_first_command_was_refused_is_free(self, parts: Parts) -> None:
        first, second = await together(
            parts, pay("a", limit=1, idempotency=key("k")), pay("b", idempotency=key("k", b"other"))
        )
        assert first == FULL
        assert isinstance(second, Done)

    async def test_an_accepted_command_without_events_is_remembered(self, parts: Parts) -> None:
        command = Command("ask", [], lambda _: Accepted(response=1, status=200), METADATA, key=key("k"))
        assert done(await parts.store.execute(command)).position == 0
        assert done(await parts.store.execute(command)) == Done(b"1", 200, 0, replayed=True)


class TestGuards:
    async def test_a_taken_guard_refuses_its_command_only(self, parts: Parts) -> None:
        """I-19: a receipt serial is used once."""
        await parts.store.execute(pay("a", receipt="r1"))
        refused, good = await together(
            parts, pay("b", receipt="r1", idempotency=key("k")), pay("c", receipt="r2")
        )
        assert refused == TAKEN
        assert isinstance(good, Done)
        assert await parts.store.guard_holders("receipt", ["r1", "r2", "r3"]) == {"r1": "a", "r2": "c"}
        assert await parts.log.read_stream("purse:b", 2020) == []
        assert isinstance(await parts.store.execute(pay("b", idempotency=key("k"))), Done)

    async def test_the_first_of_a_batch_takes_the_guard(self, parts: Parts) -> None:
        first, second = await together(parts, pay("a", receipt="r"), pay("b", receipt="r"))
        assert isinstance(first, Done)
        assert second == TAKEN

    async def test_nothing_rests_on_events_that_never_happened(self, parts: Parts) -> None:
        """Given a receipt in use, when A (with that receipt) pays into the purse and B, in the same batch,
        decides on what A left, then A is refused and B is decided again without A's event."""
        await parts.store.execute(pay("x", receipt="r"))
        refused, rested, other = await together(
            parts, pay("a", 10, receipt="r"), pay("a", 1, limit=10), pay("b", 7)
        )
        assert refused == TAKEN
        assert done(rested).response == b'{"before":0}'
        assert done(other).response == b'{"before":0}'

    async def test_a_refusal_that_rested_on_a_loser_is_judged_again(self, parts: Parts) -> None:
        await parts.store.execute(pay("x", receipt="r"))
        refused, judged = await together(parts, pay("a", 10, receipt="r"), pay("a", 10, limit=15))
        assert refused == TAKEN
        assert done(judged).response == b'{"before":0}'

    async def test_rows_of_a_loser_are_not_written(self, parts: Parts) -> None:
        await parts.store.execute(pay("x", receipt="r"))
        refused, good = await together(
            parts, pay("a", receipt="r", row=mixed_row("lost")), pay("b", row=mixed_row("kept"))
        )
        assert refused == TAKEN
        assert isinstance(good, Done)
        assert [row["id"] for row in await all_rows(parts.database, mixed)] == ["kept"]

    async def test_a_key_answers_before_the_guard_its_own_command_took(self, parts: Parts) -> None:
        """Given a command that commits elsewhere between our load and our append (another process, or a commit
        whose answer was lost), when we decide it too, then its guard is taken, but by itself: the caller gets
        the recorded outcome, not RECEIPT_USED for a receipt that is its own (architecture §3: idempotency)."""
        command = pay("a", receipt="r", idempotency=key("k"))
        await overtaken(parts, command)
        outcome = done(await parts.store.execute(command))
        assert (outcome.position, outcome.replayed) == (1, True)
        assert await parts.log.head() == 1

    async def test_another_key_still_meets_the_taken_guard(self, parts: Parts) -> None:
        await overtaken(parts, pay("a", receipt="r", idempotency=key("k")))
        assert await parts.store.execute(pay("b", receipt="r", idempotency=key("other"))) == TAKEN
        assert await parts.store.execute(pay("c", receipt="r")) == TAKEN

    async def test_a_key_answers_before_the_guard_inside_a_page(self, parts: Parts) -> None:
        command = pay("a", receipt="r", idempotency=key("k"))
        begin = parts.log.transaction

        @asynccontextmanager
        async def late() -> AsyncIterator[Any]:
            async with begin() as transaction:
                yield LateTransaction(transaction, stale_loads)

        await parts.store.execute(command)
        stale_loads = [History({}, {})]
        parts.log.transaction = late  # type: ignore[method-assign]
        (outcome,) = await parts.store.execute_page(Page([command], effects=moved))
        assert (done(outcome).position, done(outcome).replayed) == (1, True)


async def overtaken(parts: Parts, command: Command) -> None:
    """Commit ``command`` by another writer right after the next load of ours."""
    load, other = parts.log.load, Writer(log=parts.log, clock=parts.clock, runtime=parts.runtime, types=TYPES)

    async def load_and_lose(*needed: Any) -> Any:
        loaded = await load(*needed)
        parts.log.load = load  # type: ignore[method-assign]
        await other.start()
        done(await other.execute(command))
        await other.stop()
        return loaded

    parts.log.load = load_and_lose  # type: ignore[method-assign]


class LateTransaction:
    """A transaction whose first load is older than what was committed meanwhile."""

    def __init__(self, inner: Any, stale_loads: list[History]) -> None:
        self._inner = inner
        self._stale_loads = stale_loads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def load(self, *needed: Any) -> Any:
        return self._stale_loads.pop() if self._stale_loads else await self._inner.load(*needed)


async def moved(_: Connection) -> bool:
    return True


async def stale(_: Connection) -> bool:
    return False


class TestPages:
    async def test_a_page_commits_whole(self, parts: Parts) -> None:
        async def effects(connection: Connection) -> bool:
            await connection.upsert(mixed, [mixed_row("effect")])
            return True

        fact = BlindAppend(
            "received:other", Announced.type_name(), b'{"text":"x"}', METADATA, parts.clock.now()
        )
        page = Page([pay("a"), pay("a", limit=150), pay("b")], effects=effects, blind=[fact, fact])
        first, refused, second = await parts.store.execute_page(page)
        assert (done(first).position, refused, done(second).position) == (1, FULL, 2)
        events = await parts.log.read(0, 10)
        assert [(item.stream, item.version) for item in events] == [
            ("purse:a", 1),
            ("purse:b", 1),
            ("received:other", 1),
            ("received:other", 2),
        ]
        assert events[3].event == Announced("x")
        assert len(await all_rows(parts.database, mixed)) == 1

    async def test_what_is_kept_of_the_outcomes_commits_with_them(self, parts: Parts) -> None:
        """``settled`` sees refusals, and ``placed`` where the last event stands; when either raises, nothing of
        the page is written."""
        told: list[Any] = []
        reached: list[int] = []

        async def settled(connection: Connection, outcomes: Sequence[Any]) -> None:
            told.append(outcomes)
            await connection.upsert(mixed, [mixed_row(f"kept{len(told)}")])
            if len(told) == 1:
                raise LookupError

        async def placed(connection: Connection, position: int) -> None:
            reached.append(position)
            await connection.upsert(mixed, [mixed_row(f"reached{len(reached)}")])
            if len(reached) == 1:
                raise LookupError

        page = Page([pay("a"), pay("a", limit=150), pay("b")], settled=settled, placed=placed)
        for _ in ("settled", "placed"):
            with pytest.raises(LookupError):
                await parts.store.execute_page(page)
            assert (await parts.log.head(), await all_rows(parts.database, mixed)) == (0, [])
        await parts.store.preview_page(page)
        assert (len(told), len(reached)) == (2, 1)
        answered = await parts.store.execute_page(page)
        assert [done(told[2][0]).position, told[2][1], done(told[2][2]).position] == [0, FULL, 0]
        assert reached[1] == await parts.log.head()
        assert [done(answered[0]).position, answered[1], done(answered[2]).position] == [
            await parts.log.head() - 1,
            FULL,
            await parts.log.head(),
        ]
        assert {row["id"] for row in await all_rows(parts.database, mixed)} == {"kept3", "reached2"}

    async def test_where_nothing_was_appended_no_position_is_told(self, parts: Parts) -> None:
        async def placed(connection: Connection, position: int) -> None:
            raise AssertionError

        (answer,) = await parts.store.execute_page(Page([pay("a", limit=50)], placed=placed))
        assert (answer, await parts.log.head()) == (FULL, 0)

    async def test_a_stale_page_writes_nothing(self, parts: Parts) -> None:
        with pytest.raises(StaleCheckpointError):
            await parts.store.execute_page(Page([pay("a")], effects=stale))
        assert await parts.log.head() == 0

    async def test_an_exception_takes_the_whole_page_back(self, parts: Parts) -> None:
        async def effects(connection: Connection) -> bool:
            await connection.upsert(mixed, [mixed_row("effect")])
            return True

        bad = Command("pay", [], lambda _: 1 / 0, METADATA)  # type: ignore[arg-type,return-value]
        with pytest.raises(ZeroDivisionError):
            await parts.store.execute_page(Page([pay("a"), bad], effects=effects))
        assert await parts.log.head() == 0
        assert await all_rows(parts.database, mixed) == []

    async def test_a_taken_guard_refuses_inside_a_page(self, parts: Parts) -> None:
        await parts.store.execute(pay("x", receipt="r"))
        page = Page([pay("a", 10, receipt="r"), pay("a", 5)], effects=moved)
        refused, accepted = await parts.store.execute_page(page)
        assert refused == TAKEN
        assert done(accepted).response == b'{"before":0}'

    async def test_a_refusal_can_be_answered_in_the_same_transaction(self, parts: Parts) -> None:
        page = Page(
            [pay("a", 10, limit=5)], effects=moved, on_refusal=lambda command, refusal: pay("overflow", 10)
        )
        assert await parts.store.execute_page(page) == [FULL]
        assert [item.stream for item in await parts.log.read(0, 10)] == ["purse:overflow"]

    async def test_keys_replay_inside_pages(self, parts: Parts) -> None:
        first = done(await parts.store.execute(pay("a", idempotency=key("k"))))
        (again,) = await parts.store.execute_page(Page([pay("a", idempotency=key("k"))]))
        assert again == Done(first.response, first.status, first.position, replayed=True)

    async def test_a_preview_decides_and_writes_nothing(self, parts: Parts) -> None:
        outcomes = await parts.store.preview_page(Page([pay("a", 10), pay("a", 10, limit=15)], effects=moved))
        assert done(outcomes[0]).response == b'{"before":0}'
        assert outcomes[1] == FULL
        assert await parts.log.head() == 0


class TestTail:
    async def test_pages_follow_one_another(self, parts: Parts) -> None:
        await parts.store.execute_bulk([pay(f"p{n}", n) for n in range(25)])
        seen, after = [], 0
        while True:
            page = await parts.log.read_page(after, 10)
            if page.scanned == after:
                break
            after = page.scanned
            seen += [item.event.fen for item in page.events]
        assert seen == list(range(25))

    async def test_large_payloads_come_in_smaller_pages(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each once and in order, and no page takes much more memory than another."""
        monkeypatch.setattr(postgres_log, "STORED_PAGE_BYTES", 40)
        await parts.store.execute_bulk([pay(f"p{n}", n) for n in range(25)])
        pages, after = [], 0
        while (page := await parts.log.read_page(after, 10, TYPES.names([Paid]))).scanned > after:
            pages.append([item.event.fen for item in page.events])
            assert [item.position for item in page.events][-1] == page.scanned
            after = page.scanned
        assert [fen for page in pages for fen in page] == list(range(25))
        if isinstance(parts.log, PostgresLog):
            assert all(0 < len(page) < 10 for page in pages)

    async def test_other_types_are_passed_over(self, parts: Parts) -> None:
        fact = BlindAppend(
            "received:other", Announced.type_name(), b'{"text":"x"}', METADATA, parts.clock.now()
        )
        await parts.store.execute_page(Page([pay("a")], blind=[fact] * 5))
        page = await parts.log.read_page(0, 4, TYPES.names([Paid]))
        assert (len(page.events), page.scanned) == (1, 4)
        page = await parts.log.read_page(4, 4, TYPES.names([Paid]))
        assert (page.events, page.scanned) == ([], 6)
        page = await parts.log.read_page(6, 4, TYPES.names([Paid]))
        assert (page.events, page.scanned) == ([], 6)
        page = await parts.log.read_page(0, 10, None, 3)
        assert (len(page.events), page.scanned) == (3, 3)
