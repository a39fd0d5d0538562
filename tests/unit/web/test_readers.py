"""Bells: a reaction is woken when its types are in the log and the read models have them, and not else."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from shared.eventstore.database import Connection
from shared.eventstore.dead_letters import REACTION, Parked, park
from shared.eventstore.tailing import Recorded
from shared.kernel.events import DayBegun
from shared.testing.service import MemoryService
from shared.web.readers import ReactionBells, ToldProjections
from tests.unit.web.conftest import WRITE, NoteList, NoteTaken


class Quiet:
    def __init__(self, name: str, *handles: type[Any]) -> None:
        self.name = name
        self.handles = handles

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Any]:
        return []

    def key(self, recorded: Recorded[Any]) -> str:
        return ""


class Rung:
    """Bells of a note reaction and a day reaction, and how often each rang."""

    names: ClassVar = ("notes", "days")

    def __init__(self, service: MemoryService) -> None:
        parts = service.parts
        self.projections = ToldProjections(log=parts.log, projections=[NoteList()], runtime=parts.runtime)
        self.bells = ReactionBells(parts.log, self.projections, parts.runtime)
        self.rang = dict.fromkeys(self.names, 0)
        for name, event in zip(self.names, (NoteTaken, DayBegun), strict=True):
            self.bells.bell(Quiet(name, event)).subscribe(self._listener(name))

    def _listener(self, name: str) -> Any:
        def ring(_: int) -> None:
            self.rang[name] += 1

        return ring


@pytest.fixture
async def rung(service: MemoryService) -> Rung:
    made = Rung(service)
    await made.bells.look()
    assert made.rang == {"notes": 1, "days": 1}
    return made


async def note(service: MemoryService, text: str) -> None:
    async with service.client([WRITE]) as client:
        await client.post("/thin", json={"text": text})


async def test_only_whose_types_are_there_is_rung(service: MemoryService, rung: Rung) -> None:
    await note(service, "a")
    await rung.projections.run_once()
    assert await rung.bells.look() == 1
    assert rung.rang == {"notes": 2, "days": 1}
    assert await rung.bells.look() == 0
    assert rung.rang == {"notes": 2, "days": 1}


async def test_nobody_is_rung_before_the_read_models_have_it(service: MemoryService, rung: Rung) -> None:
    """Else the reaction would wake, see nothing yet, and sleep through a polling interval."""
    await note(service, "a")
    assert await rung.bells.look() == 0
    assert rung.rang["notes"] == 1
    await rung.projections.run_once()
    await rung.bells.look()
    assert rung.rang["notes"] == 2


async def test_whoever_has_something_parked_is_rung_by_any_event(service: MemoryService, rung: Rung) -> None:
    """What it waits for may be any fact."""
    row = Parked(
        kind=REACTION, name="days", key="k", position=1, parked_at=service.parts.clock.now(), reason="WAITS"
    )
    async with service.parts.database.begin() as connection:
        await park(connection, [row])
    await note(service, "a")
    await rung.projections.run_once()
    await rung.bells.look()
    assert rung.rang == {"notes": 2, "days": 2}


async def test_moving_read_models_wake_the_look(service: MemoryService, rung: Rung) -> None:
    """Through ``run``: the projections' step alone makes the reaction ring."""
    rung.projections.moved = rung.bells.wake
    heard = asyncio.Event()
    rung.bells.bell(Quiet("heard", NoteTaken)).subscribe(lambda _: heard.set())
    stop = asyncio.Event()
    task = asyncio.ensure_future(rung.bells.run(stop))
    await note(service, "a")
    assert not heard.is_set()
    await rung.projections.run_once()
    async with asyncio.timeout(5):
        await heard.wait()
        stop.set()
        rung.bells.wake()
        await task


async def test_a_reaction_is_as_far_as_the_look_once_it_did_what_it_was_rung_for(
    service: MemoryService, rung: Rung
) -> None:
    """``/ops/lag`` then knows without reading the log again: events of other types are nobody's work."""
    quiet = Quiet("notes", NoteTaken)
    bell, runner = rung.bells.bell(quiet), service.parts.reaction(quiet)
    await note(service, "a")
    await rung.projections.run_once()
    await rung.bells.look()
    assert (rung.bells.seen, rung.bells.position_of(bell, runner)) == (1, 0)
    while await runner.run_once():
        pass
    assert rung.bells.position_of(bell, runner) == 1
    await service.begin_day(dt.date(2016, 1, 2))
    for _ in range(2):  # the service's own runner was there first: ask where the read models are
        await rung.projections.run_once()
    await rung.bells.look()
    assert (runner.position(), rung.bells.seen, rung.bells.position_of(bell, runner)) == (1, 2, 2)
