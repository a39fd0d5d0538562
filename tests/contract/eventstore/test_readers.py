"""Projections, rebuilds, reactions and dead letters on both databases."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from shared.eventstore.checkpoints import Checkpoint, move_checkpoints, read_checkpoints
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.dead_letters import DISCARDED, REACTION, REPLAYED, DeadLetters
from shared.eventstore.identity import RestoredError, claim_identity, raise_epoch
from shared.eventstore.projections import STORE_SECONDS, ProjectionRunner, checkpoint_name
from shared.eventstore.reactions import QUIET_SECONDS, ReactionRunner
from shared.eventstore.rebuild import rebuild, rebuild_all
from shared.eventstore.tables import dead_letters, log_identity, parked
from shared.eventstore.tailing import Projection, Reaction, Recorded, Wait
from shared.kernel.errors import ProblemError
from shared.testing.store import settle
from tests.contract.eventstore.sample import (
    AnsweredNotes,
    Noted,
    Notes,
    Paid,
    Parts,
    Totals,
    all_rows,
    mixed,
    mixed_row,
    notes_in,
    pay,
    totals,
)


def projections(parts: Parts, *which: Projection, page: int = 1000) -> ProjectionRunner:
    return ProjectionRunner(log=parts.log, projections=which, runtime=parts.runtime, page=page)


def reaction(parts: Parts, which: Reaction, **options: Any) -> ReactionRunner:
    return ReactionRunner(
        reaction=which, log=parts.log, store=parts.store, clock=parts.clock, runtime=parts.runtime, **options
    )


async def pay_in(parts: Parts, purse: str, *amounts: int) -> None:
    for fen in amounts:
        await parts.store.execute(pay(purse, fen, label=f"label-{fen}"))


class Broken:
    """A projection that cannot go on until it is mended."""

    name = "broken"
    tables: Sequence[sa.Table] = (mixed,)
    handles = (Paid,)
    mended = False

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await connection.upsert(mixed, [mixed_row("partial")])
        if not self.mended:
            raise LookupError


class Unmoved:
    """A projection none of whose events come."""

    name = "unmoved"
    tables: Sequence[sa.Table] = (mixed,)
    handles = (Noted,)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        raise LookupError


async def stored_positions(parts: Parts, *which: Projection) -> list[int]:
    names = [checkpoint_name(each) for each in which]
    async with parts.database.read() as connection:
        stored = await read_checkpoints(connection, names)
    return [stored[name].position for name in names]


class TestProjections:
    async def test_rows_and_checkpoint_move_together(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 2, 3)
        await pay_in(parts, "b", 10)
        runner = projections(parts, Totals(), page=3)
        assert await settle([runner]) == 2
        rows = await all_rows(parts.database, totals)
        assert [(row["purse"], row["fen"], row["payments"]) for row in rows] == [
            ("purse:a", 6, 3),
            ("purse:b", 10, 1),
        ]
        assert (rows[0]["first_label"], rows[0]["last_label"]) == ("label-1", "label-3")
        assert await settle([projections(parts, Totals())]) == 0
        assert runner.position() == await parts.log.head()

    async def test_of_two_runners_one_applies(self, parts: Parts) -> None:
        """Compare-and-set: the same page twice at once changes the rows once."""
        await pay_in(parts, "a", 1)
        one, other = projections(parts, Totals()), projections(parts, Totals())
        await asyncio.gather(one.run_once(), other.run_once())
        assert [row["fen"] for row in await all_rows(parts.database, totals)] == [1]

    async def test_a_failing_projection_stands_and_the_others_go_on(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1)
        broken = Broken()
        runner = projections(parts, Totals(), broken)
        await settle([runner])
        assert runner.failures == {"broken": "LookupError"}
        assert await all_rows(parts.database, mixed) == []
        assert [row["fen"] for row in await all_rows(parts.database, totals)] == [1]
        broken.mended = True
        await settle([runner])
        assert runner.failures == {}
        assert len(await all_rows(parts.database, mixed)) == 1

    async def test_min_log_position(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1)
        head = await parts.log.head()
        reader = projections(parts, Totals())
        assert not await reader.caught_up(head, timeout=0.05)
        await projections(parts, Totals()).run_once()
        assert await reader.caught_up(head, timeout=0.05)

    async def test_others_events_are_passed_over_in_memory_and_stored_now_and_then(
        self, parts: Parts
    ) -> None:
        """Given a projection without an event of its own, when the log grows, then its checkpoint is stored with
        the first page and again after a while; who asks from another process is told that it contains all."""
        which = Totals(), Unmoved()
        runner, elsewhere = projections(parts, *which), projections(parts, *which)
        await pay_in(parts, "a", 1)
        await settle([runner])
        first = await parts.log.head()
        assert await stored_positions(parts, *which) == [first, first]
        await pay_in(parts, "a", 2)
        await runner.run_once()
        head = await parts.log.head()
        assert await stored_positions(parts, *which) == [head, first]
        assert runner.position() == head
        assert await elsewhere.caught_up(head, timeout=0.0)
        await parts.runtime.sleep(STORE_SECONDS)
        assert await runner.run_once() == 0
        assert await stored_positions(parts, *which) == [head, head]
        assert runner.failures == {}

    async def test_an_event_of_its_own_is_waited_for(self, parts: Parts) -> None:
        """Given a projection that has not applied an event of its own, then nobody is told that it has."""
        await pay_in(parts, "a", 1)
        await projections(parts, Unmoved()).run_once()
        assert not await projections(parts, Totals(), Unmoved()).caught_up(1, timeout=0.0)

    async def test_the_loop_follows_the_writer_until_stopped(self, parts: Parts) -> None:
        runner = ProjectionRunner(
            log=parts.log, projections=[Totals()], runtime=parts.runtime, announcer=parts.store
        )
        stop = asyncio.Event()
        loop = asyncio.ensure_future(runner.run(stop))
        await pay_in(parts, "a", 1, 2)
        async with asyncio.timeout(20):
            assert await runner.caught_up(2, timeout=600)
        stop.set()
        async with asyncio.timeout(20):
            await loop


class TestRebuild:
    async def test_a_replay_equals_the_live_rows(self, parts: Parts) -> None:
        await pay_in(parts, "a", *range(1, 8))
        await settle([projections(parts, Totals())])
        report = await rebuild(parts.log, parts.database, Totals(), page=2)
        assert report.equal
        assert (report.position, report.events, report.swapped) == (7, 7, False)
        assert (report.tables[0].live, report.tables[0].replayed) == (1, 1)

    async def test_several_are_replayed_in_one_pass_each_as_far_as_its_live_rows(self, parts: Parts) -> None:
        """I-30: one that fell behind is compared where it stands, and is not passed while it moves on."""
        await pay_in(parts, "a", *range(1, 5))
        await settle([projections(parts, Totals())])
        behind = Broken()
        behind.mended = True
        seen: list[tuple[int, int]] = []
        reports = await rebuild_all(
            parts.log, parts.database, [Totals(), behind], page=2, progress=lambda *at: seen.append(at)
        )
        assert [(report.projection, report.position, report.events) for report in reports] == [
            ("totals", 4, 4),
            ("broken", 0, 0),
        ]
        assert all(report.equal for report in reports)
        assert seen[-1] == (4, 4)
        await settle([projections(parts, behind)])
        reports = await rebuild_all(parts.log, parts.database, [Totals(), behind], page=1)
        assert [(report.position, report.events, report.equal) for report in reports] == [(4, 4, True)] * 2

    async def test_a_planted_difference_is_found_and_swapped_away(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 2)
        await settle([projections(parts, Totals())])
        async with parts.database.begin() as connection:
            await connection.execute(sa.update(totals).values(fen=totals.c.fen + 1))
        report = await rebuild(parts.log, parts.database, Totals())
        assert (report.tables[0].only_live, report.tables[0].only_replayed) == (1, 1)
        assert [row["fen"] for row in await all_rows(parts.database, totals)] == [4]
        assert not (await rebuild(parts.log, parts.database, Totals(), swap=True)).equal
        assert [row["fen"] for row in await all_rows(parts.database, totals)] == [3]
        assert (await rebuild(parts.log, parts.database, Totals())).equal

    async def test_a_failing_replay_leaves_the_live_rows(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1)
        broken = Broken()
        broken.mended = True
        await settle([projections(parts, broken)])
        broken.mended = False
        with pytest.raises(LookupError):
            await rebuild(parts.log, parts.database, broken, swap=True)
        assert len(await all_rows(parts.database, mixed)) == 1


class TestCheckpoints:
    async def test_only_the_expected_one_moves(self, parts: Parts) -> None:
        async with parts.database.begin() as connection:
            assert await move_checkpoints(connection, {"r": (Checkpoint(), Checkpoint(5, 1))})
            assert not await move_checkpoints(connection, {"r": (Checkpoint(5), Checkpoint(6))})
            assert await move_checkpoints(connection, {"r": (Checkpoint(5, 1), Checkpoint(6))})
            assert await read_checkpoints(connection, ["r", "never"]) == {
                "r": Checkpoint(6),
                "never": Checkpoint(),
            }


async def stored_position(parts: Parts) -> int:
    async with parts.database.read() as connection:
        stored = await read_checkpoints(connection, ["reaction:notes"])
    return stored["reaction:notes"].position


class FewNotes(Notes):
    """Commits two at once."""

    page = 2


def pages_of(parts: Parts, runner: ReactionRunner) -> list[int]:
    """How many commands each page holds that is asked for from now on."""
    asked: list[int] = []
    whole = parts.store.execute_page

    async def counting(page: Any) -> Any:
        asked.append(len(page.commands))
        return await whole(page)

    parts.store.execute_page = counting
    return asked


class TestReactions:
    async def test_each_fact_is_reacted_to_once(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 2, 3)
        await settle([reaction(parts, Notes())])
        await settle([reaction(parts, Notes())])
        assert await notes_in(parts.log, "a") == [1, 2, 3]

    async def test_a_reaction_of_large_facts_takes_fewer_at_once(self, parts: Parts) -> None:
        """Its ``page`` bounds what one transaction holds."""
        await pay_in(parts, "a", 1, 2, 3)
        runner = reaction(parts, FewNotes())
        asked = pages_of(parts, runner)
        assert await runner.run_once() == 2
        assert await notes_in(parts.log, "a") == [1, 2]
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1, 2, 3]
        assert asked == [2, 1]

    async def test_pages_are_handed_over_before_those_before_them_are_committed(self, parts: Parts) -> None:
        """Behind by many pages, a runner has four with the writer, in order, and ends with all committed."""
        await pay_in(parts, "a", *range(1, 12), *range(1, 12))
        runner, stop = reaction(parts, FewNotes()), asyncio.Event()
        under_way = most = committed = 0
        whole = parts.store.execute_page

        async def counting(page: Any) -> Any:
            nonlocal under_way, most, committed
            under_way += 1
            most = max(most, under_way)
            answer = await whole(page)
            under_way -= 1
            committed += len(page.commands)
            if committed == 22:
                stop.set()
            return answer

        parts.store.execute_page = counting
        async with asyncio.timeout(60):
            await runner.run(stop)
        assert most == 4
        assert await notes_in(parts.log, "a") == [*range(1, 12), *range(1, 12)]
        assert await stored_position(parts) >= 22

    async def test_a_bad_command_among_slices_handed_over_together_costs_its_own_event_only(
        self, parts: Parts
    ) -> None:
        """What stands before it is written once, what stands behind it waits for its key alone."""
        await pay_in(parts, "a", 1, 2, 15, 3)
        await pay_in(parts, "b", 4, 5, 6)
        runner = reaction(parts, FewNotes())
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1, 2]
        assert await notes_in(parts.log, "b") == [4, 5, 6]
        assert len(await all_rows(parts.database, dead_letters)) == 1

    async def test_of_slices_handed_over_together_none_is_written_behind_one_that_fails(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection that breaks in the middle: the rest is done again, nothing twice."""
        await pay_in(parts, "a", *range(1, 9))
        runner, asked = reaction(parts, FewNotes()), 0
        stop = asyncio.Event()
        whole = parts.store.execute_page

        async def fails_at_the_second(page: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise OSError("connection lost")
            answer = await whole(page)
            if await parts.log.head() == 16:
                stop.set()
            return answer

        monkeypatch.setattr(parts.store, "execute_page", fails_at_the_second)
        async with asyncio.timeout(60):
            await runner.run(stop)
        assert asked > 4
        assert await notes_in(parts.log, "a") == list(range(1, 9))

    async def test_of_two_runners_one_reacts(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 2)
        one, other = reaction(parts, Notes()), reaction(parts, Notes())
        await asyncio.gather(one.run_once(), other.run_once())
        await settle([one, other])
        assert await notes_in(parts.log, "a") == [1, 2]

    async def test_what_asked_for_nothing_once_is_not_asked_again_after_a_restart(self, parts: Parts) -> None:
        """A reaction looks at read models: asked later about the same fact, it might answer otherwise."""

        class Idle(Notes):
            idle = True

            async def react(
                self, recorded: Recorded[Any], connection: Connection
            ) -> Sequence[Command] | Wait:
                return [] if self.idle else await super().react(recorded, connection)

        await pay_in(parts, "a", 1, 2)
        notes = Idle()
        await reaction(parts, notes).run_once()
        notes.idle = False
        await pay_in(parts, "a", 3)
        await settle([reaction(parts, notes)])
        assert await notes_in(parts.log, "a") == [3]

    async def test_it_counts_the_steps_that_fail_until_one_goes_well(
        self, parts: Parts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A database that does not take what it asks for: told to whoever watches, and outlived."""
        await pay_in(parts, "a", 1)
        runner, stop = reaction(parts, Notes(), poll_seconds=0.001), asyncio.Event()
        step, failed, well = runner._step, [], asyncio.Event()

        async def full_at_first() -> int:
            if len(failed) == 2:
                well.set()
                return await step()
            failed.append(runner.failures())
            raise OSError("no space left on device")

        monkeypatch.setattr(runner, "_step", full_at_first)
        running = asyncio.create_task(runner.run(stop))
        await well.wait()
        stop.set()
        await running
        assert (failed, runner.failures()) == ([0, 1], 0)
        assert await notes_in(parts.log, "a") == [1]

    async def test_its_checkpoint_reaches_the_head_though_later_events_are_not_its_own(
        self, parts: Parts
    ) -> None:
        """Whoever asks whether everything has drained compares the stored checkpoint with the head: it gets
        there when nothing has come for a while, and not before, as a growing log would be noted all the time."""
        await pay_in(parts, "a", 1)
        runner = reaction(parts, Notes())
        await settle([runner])
        assert await stored_position(parts) == 1
        assert runner.position() == 2
        await parts.runtime.sleep(QUIET_SECONDS)
        await settle([runner])
        assert await stored_position(parts) == await parts.log.head() == 2

    async def test_it_waits_for_the_read_models_it_looks_at(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 2, 3)
        runner = reaction(parts, Notes(), follows=lambda: 2)
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1, 2]

    async def test_a_refused_command_does_not_stop_it(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 16, 2)
        await settle([reaction(parts, Notes())])
        assert await notes_in(parts.log, "a") == [1, 2]

    async def test_a_refusal_is_answered_in_the_same_transaction(self, parts: Parts) -> None:
        await pay_in(parts, "a", 5, 16, 2)
        await settle([reaction(parts, AnsweredNotes())])
        assert sorted(await notes_in(parts.log, "a")) == [1, 2, 5]

    async def test_a_large_fan_out_is_sliced(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 1200, 2)
        await settle([reaction(parts, Notes())])
        assert await notes_in(parts.log, "a") == [1] * 1201 + [2]

    async def test_a_fan_out_cut_off_in_the_middle_goes_on(self, parts: Parts) -> None:
        """Given a reaction that stopped after one slice of 500, when it runs again, then each command is
        executed once in all."""
        await pay_in(parts, "a", 1200)
        whole = parts.store.execute_page
        calls = 0

        async def fails_at_the_second(page: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise ConnectionResetError
            return await whole(page)

        class Cut:
            execute_page = staticmethod(fails_at_the_second)

        cut = ReactionRunner(
            reaction=Notes(),
            log=parts.log,
            store=Cut(),  # type: ignore[arg-type]
            clock=parts.clock,
            runtime=parts.runtime,
        )
        failure = parts.log.failure
        from shared.eventstore.log import Failure

        parts.log.failure = lambda error: (  # type: ignore[method-assign]
            Failure.CONNECTION if isinstance(error, ConnectionResetError) else failure(error)
        )
        with pytest.raises(ConnectionResetError):
            await cut.run_once()
        assert len(await notes_in(parts.log, "a")) == 500
        await settle([reaction(parts, Notes())])
        assert len(await notes_in(parts.log, "a")) == 1200


class TestDeadLetters:
    async def test_an_exception_blocks_its_key_only_and_order_survives(self, parts: Parts) -> None:
        """Given a reaction that chokes on 13, then later events of that purse park behind it, another purse
        goes on; mended and replayed, they follow in order."""
        await pay_in(parts, "a", 1, 13, 2, 3)
        await pay_in(parts, "b", 4)
        notes = Notes()
        runner = reaction(parts, notes)
        await settle([runner])
        await pay_in(parts, "a", 5)
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1]
        assert await notes_in(parts.log, "b") == [4]
        letters = DeadLetters(parts.database, parts.clock)
        letters.register(REACTION, "notes", runner)
        (letter,) = await letters.list()
        assert (letter.key, letter.position, letter.code.split("@")[0]) == ("purse:a", 2, "LookupError")
        assert "never be stored" not in str(letter)
        assert await letters.counts() == {(REACTION, "notes", "open"): 1, (REACTION, "notes", "parked"): 3}

        with pytest.raises(LookupError):
            await letters.replay(letter.id, by="op")
        notes.broken = False
        dry = await letters.replay(letter.id, by="op", dry_run=True)
        assert (dry.outcomes, await notes_in(parts.log, "a")) == (["accepted"], [1])
        assert (await letters.replay(letter.id, by="op")).outcomes == ["accepted"]
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1, 13, 2, 3, 5]
        assert (await letters.show(letter.id)).state == REPLAYED
        assert await all_rows(parts.database, parked) == []
        with pytest.raises(ProblemError):
            await letters.replay(letter.id, by="op")

    async def test_a_command_that_raises_costs_its_own_event_only(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 15, 2)
        await pay_in(parts, "b", 4)
        runner = reaction(parts, Notes())
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1]
        assert await notes_in(parts.log, "b") == [4]
        (letter,) = await all_rows(parts.database, dead_letters)
        assert letter["code"].startswith("ArithmeticError@")
        assert [row["position"] for row in await all_rows(parts.database, parked)] == [3]

    async def test_a_spoilt_transaction_costs_its_own_event_only(self, parts: Parts) -> None:
        """PostgreSQL refuses everything in a transaction after an error: the next event gets a new one."""
        await pay_in(parts, "a", 17)
        await pay_in(parts, "b", 4, 5)
        await settle([reaction(parts, Notes())])
        assert await notes_in(parts.log, "b") == [4, 5]
        assert [row["key"] for row in await all_rows(parts.database, dead_letters)] == ["purse:a"]

    async def test_a_discarded_letter_frees_its_key(self, parts: Parts) -> None:
        await pay_in(parts, "a", 13, 2)
        runner = reaction(parts, Notes())
        await settle([runner])
        letters = DeadLetters(parts.database, parts.clock)
        (letter,) = await letters.list()
        await letters.discard(letter.id, by="op")
        await settle([runner])
        assert await notes_in(parts.log, "a") == [2]
        assert [item.resolved_by for item in await letters.list(state=DISCARDED)] == ["op"]
        with pytest.raises(ProblemError):
            await letters.discard(letter.id, by="op")

    async def test_a_fix_replaces_the_payload_for_the_replay(self, parts: Parts) -> None:
        await pay_in(parts, "a", 13)
        runner = reaction(parts, Notes())
        await settle([runner])
        letters = DeadLetters(parts.database, parts.clock)
        letters.register(REACTION, "notes", runner)
        (letter,) = await letters.list()
        with pytest.raises(ProblemError):
            await letters.fix(letter.id, b'{"fen":"x"}')
        await letters.fix(letter.id, b'{"fen":12}')
        await letters.replay(letter.id, by="op")
        assert await notes_in(parts.log, "a") == [12]
        assert [item.event.fen for item in await parts.log.read_stream("purse:a", 2020)] == [13]

    async def test_what_waits_goes_on_when_its_cause_arrives(self, parts: Parts) -> None:
        await pay_in(parts, "a", 1, 14, 2)
        notes = Notes()
        runner = reaction(parts, notes)
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1]
        waiting, behind = await all_rows(parts.database, parked)
        assert (waiting["reason"], waiting["deadline"]) == ("PERSON_UNKNOWN", dt.date(2020, 1, 4))
        assert (behind["reason"], behind["deadline"]) == ("BEHIND", None)
        notes.arrived = True
        await pay_in(parts, "b", 1)
        await settle([runner])
        assert await notes_in(parts.log, "a") == [1, 14, 2]
        assert await all_rows(parts.database, parked) == []

    async def test_what_waited_too_long_is_a_dead_letter(self, parts: Parts) -> None:
        await pay_in(parts, "a", 14, 2)
        runner = reaction(parts, Notes())
        await settle([runner])
        parts.clock.begin(dt.date(2020, 1, 4))
        await settle([runner])
        assert await all_rows(parts.database, dead_letters) == []
        parts.clock.begin(dt.date(2020, 1, 5))
        await settle([runner])
        (letter,) = await all_rows(parts.database, dead_letters)
        assert letter["code"] == "WAITED:PERSON_UNKNOWN"
        assert len(await all_rows(parts.database, parked)) == 1


class TestIdentity:
    async def test_a_restored_log_is_refused_until_its_epoch_is_raised(self, parts: Parts) -> None:
        first = await claim_identity(parts.database, "collection-370406")
        assert first.epoch == 1
        assert await claim_identity(parts.database, "collection-370406") == first
        with pytest.raises(ValueError, match="holds the log"):
            await claim_identity(parts.database, "collection-370481")
        async with parts.database.begin() as connection:
            await connection.execute(sa.update(log_identity).values(timeline="another"))
        with pytest.raises(RestoredError):
            await claim_identity(parts.database, "collection-370406")
        assert (await raise_epoch(parts.database)).epoch == 2
        assert (await claim_identity(parts.database, "collection-370406")).epoch == 2
