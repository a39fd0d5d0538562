"""What a peak leaves goes back to the machine: four services share it with PostgreSQL and a broker."""

from __future__ import annotations

from shared.kernel.clock import SeededRuntime
from shared.web.memory import GROWTH, Trimming, give_back, resident


async def test_it_gives_back_when_the_process_has_grown_and_not_before() -> None:
    sizes = iter([100 * GROWTH, 100 * GROWTH + 1, 99 * GROWTH, 100 * GROWTH, 99 * GROWTH, 99 * GROWTH + 5])
    given: list[bool] = []
    trimming = Trimming(SeededRuntime(1), lambda: next(sizes), lambda: given.append(True))
    assert not await trimming.look()  # hardly grown
    assert not await trimming.look()  # shrunk: from here it is measured
    assert await trimming.look()
    assert given == [True]
    assert not await trimming.look()
    assert given == [True]


def test_this_machines_c_library_takes_the_call() -> None:
    before = resident()
    give_back()
    assert before > 0
    assert resident() > 0
