"""Who is taken is answered in time, whatever the machine's pace; a stall is no overload (issue 5 §1)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.eventstore.admission import (
    JUMP,
    LEAST,
    PATIENCE_SECONDS,
    STRAIN_ENDS_SECONDS,
    STRAINED_SECONDS,
    TELLING,
    Admission,
)
from shared.eventstore.log import Proposal, Verdict
from shared.eventstore.writer import Writer
from shared.kernel.errors import OverloadedError
from shared.testing.store import memory_store
from tests.contract.eventstore.sample import TYPES, metadata, pay

PACE = 0.0005
IN_TIME, STRAINED = int(PATIENCE_SECONDS / PACE), int(STRAINED_SECONDS / PACE)


def settled(pace: float = PACE, most: int = 2000) -> Admission:
    """One whose batches took so many seconds a command for a while."""
    admission = Admission(most)
    for at in range(200):
        admission.note(100, 100 * pace, float(at))
    return admission


def test_a_process_that_has_shown_nothing_takes_the_most() -> None:
    assert Admission(512).room == 512


def test_room_is_what_is_answered_in_time() -> None:
    assert settled().room == pytest.approx(IN_TIME, abs=1)
    assert settled(PACE * 2).room == pytest.approx(IN_TIME / 2, abs=1)


def test_room_that_keeps_being_filled_is_smaller_until_a_while_after() -> None:
    """Given more than can be done, when the room was full, then waiting is short; a second later it is as before."""
    admission = settled()
    admission.filled(1000.0)
    assert admission.room == pytest.approx(STRAINED, abs=1)
    admission.note(100, 100 * PACE, 1000.0 + STRAIN_ENDS_SECONDS - 0.01)
    assert admission.room == pytest.approx(STRAINED, abs=1)
    admission.note(100, 100 * PACE, 1000.0 + STRAIN_ENDS_SECONDS)
    assert admission.room == pytest.approx(IN_TIME, abs=1)


def test_small_batches_say_nothing_of_many_but_end_the_strain() -> None:
    """A commit costs one command what it costs twenty: after a peak, single payments must not keep the room small."""
    admission = settled()
    admission.filled(1000.0)
    admission.note(TELLING - 1, 60.0, 1002.0)
    assert admission.room == pytest.approx(IN_TIME, abs=1)


def test_one_batch_that_met_a_stall_changes_little() -> None:
    admission = settled()
    admission.note(100, 30.0, 1000.0)
    assert admission.room > IN_TIME / JUMP


@given(st.integers(1, 4000), st.lists(st.tuples(st.integers(0, 600), st.floats(0, 100), st.booleans())))
def test_room_stays_between_its_bounds(most: int, batches: list[tuple[int, float, bool]]) -> None:
    """Whatever the clock says, a batch in no time included."""
    admission, now = Admission(most), 0.0
    for commands, seconds, full in batches:
        now += seconds
        if full:
            admission.filled(now)
        admission.note(commands, seconds, now)
        assert min(most, LEAST) <= admission.room <= most


async def test_commands_being_committed_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a batch being committed, then what may wait behind it is less by as much; later there is room again."""
    async with memory_store(TYPES, [metadata]) as parts:
        append, begun, go_on = parts.log.append, asyncio.Event(), asyncio.Event()

        async def slowly(proposal: Proposal) -> Verdict:
            begun.set()
            await go_on.wait()
            return await append(proposal)

        monkeypatch.setattr(parts.log, "append", slowly)
        store = Writer(log=parts.log, clock=parts.clock, runtime=parts.runtime, types=TYPES, queue=4, cap=2)
        await store.start()
        async with asyncio.timeout(5):
            first = [asyncio.create_task(store.execute(pay(name))) for name in "ab"]
            await begun.wait()
            second = [asyncio.create_task(store.execute(pay("c")))]
            await asyncio.sleep(0)
            assert not store.full
            second.append(asyncio.create_task(store.execute(pay("d"))))
            await asyncio.sleep(0)
            assert store.full
            with pytest.raises(OverloadedError):
                await store.execute(pay("e"))
            go_on.set()
            await asyncio.gather(*first, *second)
            assert not store.full
            await store.execute(pay("e"))
        await store.stop()
