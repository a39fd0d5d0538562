"""Waking reactions: one look at the log tells which of a service's reactions have something to do.

Twenty reactions that each poll the log cost more than the work itself, and a reaction that wakes before the
read models it looks at have moved waits a polling interval for nothing. So one task follows the log up to
where the read models are, and rings the reactions whose types are there, or that have something parked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from shared.eventstore.dead_letters import REACTION
from shared.eventstore.log import Log
from shared.eventstore.projections import ProjectionRunner, Wake
from shared.eventstore.reactions import ReactionRunner
from shared.eventstore.tables import parked
from shared.eventstore.tail import PageReader
from shared.eventstore.tailing import Reaction
from shared.kernel.clock import Runtime

REACTION_POLL_SECONDS = 2.0
"""How often a reaction looks by itself: what the bells miss (a resolved dead letter, another process)."""

LOOK_SECONDS = 0.25
PARKED_SECONDS = 1.0
"""How often the parked are asked for while no runner of this process knows of any."""

PAGE = 1000

Listener = Callable[[int], None]


class ToldProjections(ProjectionRunner):
    """Projections that tell when they moved."""

    moved: Listener | None = None

    async def run_once(self) -> int:
        """See ProjectionRunner.run_once."""
        handled = await super().run_once()
        if handled and self.moved is not None:
            self.moved(self.position())
        return handled


class ReactionBells:
    """Rings reactions; each is given ``bell(reaction)`` as its announcer."""

    def __init__(
        self,
        log: Log,
        projections: ProjectionRunner,
        runtime: Runtime,
        tail: PageReader | None = None,
    ) -> None:
        self._log = log
        self._tail = tail or log
        self._runtime = runtime
        self._asked_at = runtime.monotonic() - PARKED_SECONDS
        self._anything = True
        self._projections = projections
        self._wake = Wake(runtime, LOOK_SECONDS)
        self._bells: list[Bell] = []
        self._seen = -1

    def bell(self, reaction: Reaction) -> Bell:
        """The announcer of a reaction's runner."""
        bell = Bell(reaction.name, self._log.types.names(reaction.handles))
        self._bells.append(bell)
        return bell

    @property
    def seen(self) -> int:
        """Up to where the log was looked at."""
        return self._seen

    def position_of(self, bell: Bell, runner: ReactionRunner) -> int:
        """Up to where nothing is left for a reaction: as far as the look went, once it has done what it was
        rung for."""
        done = runner.position()
        return max(done, self._seen) if done >= bell.rung_at else done

    def wake(self, position: int = 0) -> None:
        """The log or a read model has moved."""
        self._wake.ring(position)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until told to stop; the first look rings all."""
        async with self._wake.rung_by(stop):
            while not stop.is_set():
                if not await self.look():
                    await self._wake.wait()

    async def look(self) -> int:
        """Ring who has something to do; answers how far the look moved."""
        if self._seen < 0:
            self._seen = min(await self._log.head(), self._projections.position())
            for bell in self._bells:
                bell.rung_at = self._seen
            self._ring(self._bells)
            return 0
        frontier = self._projections.position()
        if frontier <= self._seen:
            return 0
        wanted = frozenset[str]().union(*(bell.types for bell in self._bells))
        page = await self._tail.read_page(self._seen, PAGE, wanted, frontier)
        if page.scanned == self._seen:
            return 0
        moved, self._seen = page.scanned - self._seen, max(page.scanned, self._seen)
        names = self._log.types.names({type(recorded.event) for recorded in page.events})
        found = [bell for bell in self._bells if bell.types & names]
        for bell in found:  # before anybody else runs: see position_of
            bell.rung_at = self._seen
        waiting = await self._waiting()
        self._ring([*found, *(bell for bell in self._bells if bell.name in waiting and bell not in found)])
        return moved

    async def _waiting(self) -> set[str]:
        """Reactions with something parked: any new event may be what it waits for."""
        now = self._runtime.monotonic()
        self._anything = self._anything or any(bell.waits() for bell in self._bells)
        if not self._anything and now - self._asked_at < PARKED_SECONDS:
            return set()
        self._asked_at = now
        async with self._log.database.read() as connection:
            rows = await connection.execute(
                sa.select(parked.c.name).where(parked.c.kind == REACTION).distinct()
            )
        self._anything = bool(rows)
        return {str(row.name) for row in rows}

    def _ring(self, bells: Sequence[Bell]) -> None:
        for bell in bells:
            bell.ring(self._seen)


class Bell:
    """One reaction's announcer (projections.Announces)."""

    def __init__(self, name: str, types: frozenset[str]) -> None:
        self.name = name
        self.types = types
        self.rung_at = 0
        """Position of the last look that found events of its types."""
        self.waits: Callable[[], bool] = bool
        """Whether the runner knows of something parked."""
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Any) -> None:
        """See Announces.subscribe."""
        self._listeners.append(listener)

    def ring(self, position: int) -> None:
        """Wake the runner."""
        for listener in self._listeners:
            listener(position)
