"""Readers that take turns: of a service's processes one runs read models and reactions, the others stand by.

Two that both do it are right, since every checkpoint moves by compare-and-set, and do everything twice. So nothing
rests on who leads: a leader that is frozen and goes on finds its checkpoints moved, and stands by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from shared.eventstore.projections import Announces, Wake
from shared.kernel.clock import Runtime
from shared.messaging.leadership import Leadership
from shared.web.background import Work

LOOK_SECONDS = 1.0
TOLD_SECONDS = 0.02
"""At most so often a process that stands by tells the leader that it has written."""


class ReaderLeadership(Leadership, Protocol):
    """The right to run a service's readers, and the line on which others tell whoever has it."""

    heard: Callable[[], None] | None

    async def tell(self) -> None:
        """Wake the leader, wherever it is. Never raises."""
        ...


class Turns:
    """Of one process. Announces what its own writer wrote, and what another process wrote while this one leads."""

    def __init__(
        self,
        leadership: ReaderLeadership,
        announcer: Announces,
        runtime: Runtime,
        told: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """told: whether we lead, whenever that was looked at."""
        self._leadership = leadership
        self._told = told
        self._announcer = announcer
        self._runtime = runtime
        self._wake = Wake(runtime, LOOK_SECONDS)
        self._listeners: list[Any] = []
        self._written = False
        self._term: asyncio.Event | None = None
        self._began = asyncio.Event()
        leadership.heard = self.heard
        announcer.subscribe(self._own)

    @property
    def leads(self) -> bool:
        """Whether the readers of this process run."""
        return self._term is not None

    def subscribe(self, listener: Any) -> None:
        """See Announces.subscribe."""
        self._announcer.subscribe(listener)
        self._listeners.append(listener)

    def led(self, work: Work, ended: Callable[[], None] | None = None) -> Work:
        """The same work while this process leads, and only then; ``ended`` is called when it stands by again."""

        async def run(stop: asyncio.Event) -> None:
            while not stop.is_set():
                await self._began.wait()
                term = self._term
                if term is None:
                    return
                await work(term)
                if not term.is_set():
                    return
                if ended is not None:
                    ended()

        return run

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or stand by, until told to stop."""
        async with self._wake.rung_by(stop):
            try:
                while not stop.is_set():
                    self._turn(await self._leadership.hold())
                    if self._written and not self.leads:
                        self._written = False
                        await self._leadership.tell()
                        await self._runtime.sleep(TOLD_SECONDS)
                    await self._wake.wait()
            finally:
                self._turn(False)
                await self._leadership.release()
                if stop.is_set():
                    self._began.set()  # whoever stands by ends too

    def _turn(self, leads: bool) -> None:
        self._told(leads)
        if leads and self._term is None:
            self._term = asyncio.Event()
            self._began.set()
            self.heard()
        elif not leads and self._term is not None:
            self._began.clear()
            self._term.set()
            self._term = None

    def _own(self, position: int) -> None:
        if not self.leads:
            self._written = True
            self._wake.ring(position)

    def heard(self) -> None:
        """Others have appended."""
        for listener in self._listeners:
            listener(0)
