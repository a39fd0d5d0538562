"""Deterministic simulation (issue 5 §2): one seed one history; every history is sound; what is broken is found."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.simulation.many import OtherCodeError, Record, histories
from deploy.simulation.plan import Fault, Plan, draw_plan
from deploy.simulation.running import History, Workshop
from deploy.simulation.shrinking import shortest
from tests.simulation.planted import PLANTED

SEEDS = int(os.environ.get("LIANGXIAN_SIMULATION_SEEDS", "12"))
"""How many seeds a run of the suite tries; CI sets more."""

WITHIN = 1000
"""A planted bug is found within so many seeds."""

SHOWN_BY = {
    "cursor before acknowledgement": {"ack_lost"},
    "offset before effect": {"crash"},
    "equal keys not merged": {"doubled"},
    "no compare-and-set": {"crash", "delay", "doubled"},
}
"""The kinds of faults that show a planted bug soonest: of the first ``WITHIN`` seeds, those that draw one are
tried, which is quicker than all of them and finds no other bug."""


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    """Routes and databases, made once."""
    made = Workshop()
    made.prepare()
    yield made
    made.close()


@pytest.mark.timeout(900)
def test_every_seed_ends_sound() -> None:
    """Whatever is drawn: payments exactly once, read models equal replays, the I-nn hold, 0 fen unaccounted."""
    ran = list(histories(range(1, SEEDS + 1), min(2, os.cpu_count() or 1)))
    assert [one.seed for one in ran] == list(range(1, SEEDS + 1))
    assert [(one.seed, one.detail) for one in ran if one.failure] == []
    assert all(one.events > 0 for one in ran)
    assert any(one.struck for one in ran), "no fault struck: the seeds prove nothing"


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded is not run again, a line cut off is; a record of other code is refused."""
    path = tmp_path / "record"
    first, second = (History(seed, "", "", "d", 1, 0.5, [], []) for seed in (1, 2))
    with Record(path) as record:
        record.add(first)
        record.add(second)
    path.write_bytes(path.read_bytes()[:-3])
    with Record(path) as record:
        assert record.done == {1: first}
        record.add(second)
    with Record(path) as record:
        assert record.done == {1: first, 2: second}
    monkeypatch.setattr("deploy.simulation.many.SOURCES", ("shared",))
    with pytest.raises(OtherCodeError):
        Record(path)


def test_one_seed_gives_one_history_in_any_process(workshop: Workshop) -> None:
    """Same seed, other processes, other hash salts: the same bytes in all four logs (architecture §5)."""
    seed = 6
    here = workshop.run(draw_plan(seed)).digest
    assert workshop.run(draw_plan(seed)).digest == here, "what ran before shows"
    program = (
        "from deploy.simulation.plan import draw_plan; from deploy.simulation.running import Workshop;"
        f"print(Workshop().run(draw_plan({seed})).digest)"
    )
    for salt in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert told.stdout.strip() == here


def test_another_order_is_another_history(workshop: Workshop) -> None:
    """The drawn order of tasks is felt: without it the same plan runs otherwise, and ends as sound."""
    plan = replace(draw_plan(6), faults=())
    drawn, plain = workshop.run(plan), workshop.run(replace(plan, shuffled=False))
    assert (drawn.failure, plain.failure) == ("", "")
    assert drawn.digest != plain.digest


@pytest.mark.parametrize("at", [3, 40, 150, 260])
def test_a_service_killed_at_any_await_loses_nothing(workshop: Workshop, at: int) -> None:
    """Killed at its n-th await of a port and started again: the campaign ends as if nothing had been."""
    plan = replace(draw_plan(2), faults=(Fault("crash", "collection/0", at, 300),), split=())
    history = workshop.run(plan)
    assert (history.failure, history.struck) == ("", [f"crash at collection/0 #{at} (300)"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(workshop: Workshop, name: str) -> None:
    """A test that could not fail would prove nothing: each broken promise breaks a history within 1,000 seeds."""
    with PLANTED[name]():
        first = _first_failure(workshop, name)
    assert first is not None, f"{name} was not found within {WITHIN} seeds"
    assert workshop.run(draw_plan(first.seed)).failure == "", "it is the planted bug that was found"


def _first_failure(workshop: Workshop, name: str) -> History | None:
    for seed in range(1, WITHIN + 1):
        plan = draw_plan(seed)
        if any(fault.kind in SHOWN_BY[name] for fault in plan.faults):
            history = workshop.run(plan)
            if history.failure:
                return history
    return None


@pytest.mark.timeout(900)
def test_a_failing_seed_is_told_shortest(workshop: Workshop) -> None:
    """The trace keeps only the decisions the failure needs, and still fails in the same way."""
    with PLANTED["cursor before acknowledgement"]():
        failing = _first_failure(workshop, "cursor before acknowledgement")
        assert failing is not None
        plan = draw_plan(failing.seed)
        short = shortest(plan, failing.failure, workshop.run, most_runs=20)
        again = workshop.run(short, traced=True)
    assert failing.failure
    assert again.failure == failing.failure
    assert 0 < len(short.faults) <= len(plan.faults)
    assert len(short.decisions()) < len(plan.decisions())
    assert any(line.partition("!")[1] for line in again.record), "the trace names the fault"


def test_a_plan_without_a_decision_keeps_the_others() -> None:
    """Leaving one out leaves the others where they were."""
    plan: Plan = draw_plan(3)
    for number, left_out in enumerate(plan.decisions()):
        rest = [one for place, one in enumerate(plan.decisions()) if place != number]
        assert left_out not in plan.keeping(rest).decisions() or rest.count(left_out)
        assert plan.keeping(rest).persons == plan.persons
    assert plan.keeping(plan.decisions()) == plan


def test_plans_differ_by_seed_only() -> None:
    """Drawn from the seed and nothing else; a thousand seeds are a thousand plans."""
    plans = [draw_plan(seed) for seed in range(1000)]
    assert plans == [draw_plan(seed) for seed in range(1000)]
    assert len({hashlib.sha256(repr(plan).encode()).digest() for plan in plans}) == 1000
