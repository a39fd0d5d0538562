"""A service's store in memory, for unit tests and simulation: writer, log, database, clock, runtime."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import sqlalchemy as sa

from shared.eventstore.memory import MemoryLog
from shared.eventstore.projections import ProjectionRunner
from shared.eventstore.reactions import QUIET_SECONDS, ReactionRunner
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.tailing import Projection, Reaction
from shared.eventstore.types import EventTypes
from shared.eventstore.writer import Writer
from shared.kernel.clock import SeededRuntime, SimulatedClock


class Steps(Protocol):
    """Anything that moves one step at a time: a runner, a relay, a consumer."""

    async def run_once(self) -> int:
        """How much moved; 0 when there was nothing to do."""
        ...


@dataclass(slots=True)
class MemoryParts:
    """What ``memory_store`` made. ``async with`` starts and stops the writer."""

    store: Writer
    database: MemoryDatabase
    log: MemoryLog
    clock: SimulatedClock
    runtime: SeededRuntime
    types: EventTypes

    async def __aenter__(self) -> Self:
        await self.store.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.stop()
        await self.database.close()

    def projections(self, projections: Sequence[Projection]) -> ProjectionRunner:
        """A runner for projections on this log."""
        return ProjectionRunner(log=self.log, projections=projections, runtime=self.runtime)

    def reaction(self, reaction: Reaction, follows: ProjectionRunner | None = None) -> ReactionRunner:
        """A runner for a reaction on this log, kept behind the read models of ``follows``."""
        return ReactionRunner(
            reaction=reaction,
            log=self.log,
            store=self.store,
            clock=self.clock,
            runtime=self.runtime,
            follows=follows.position if follows is not None else None,
        )

    async def settle(self, projections: Sequence[Projection] = (), reactions: Sequence[Reaction] = ()) -> int:
        """Step projections and reactions until nothing moves; answers how many steps moved something.

        Raises the name of a projection that failed: a test must not pass on a read model that stopped.
        """
        runner = self.projections(projections)
        runners = [self.reaction(reaction, runner if projections else None) for reaction in reactions]
        moved = await settle([runner, *runners])
        await self.runtime.sleep(QUIET_SECONDS)  # then reactions store what they passed over
        moved += await settle([runner, *runners])
        if runner.failures:
            raise AssertionError(f"projections failed: {runner.failures}")
        return moved


async def settle(steps: Iterable[Steps], limit: int = 10_000) -> int:
    """Step everything in turn until a whole round moves nothing; RuntimeError after ``limit`` rounds."""
    everything = list(steps)
    for moved in range(limit):
        if not sum([await step.run_once() for step in everything]):
            return moved
    raise RuntimeError("the system does not come to rest")


def memory_store(
    types: EventTypes,
    metadata_list: Iterable[sa.MetaData] = (),
    seed: int = 1,
    today: dt.date = dt.date(2020, 1, 1),
) -> MemoryParts:
    """Everything a service's handlers, projections and reactions need, deterministic by seed."""
    database = MemoryDatabase(metadata_list)
    log = MemoryLog(database, types)
    clock = SimulatedClock(today)
    runtime = SeededRuntime(seed)
    store = Writer(log=log, clock=clock, runtime=runtime, types=types)
    return MemoryParts(store, database, log, clock, runtime, types)
