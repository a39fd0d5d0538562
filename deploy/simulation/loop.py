"""An event loop whose time is virtual and whose order is drawn from a seed.

Nothing sleeps: when nothing can run, the clock jumps to the next timer. Of what can run, a seeded choice runs
next; without a seed it is the order of asyncio. The same seed gives the same order, whatever the machine.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
from collections.abc import Iterator
from typing import Any, NoReturn

Draws = Iterator[int]
"""Drawn numbers without end, each much larger than there are callbacks that can run."""


class StalledError(Exception):
    """Nothing can run and no timer is set: somebody waits for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. One loop may run many histories, one after the other; ``begin`` starts the next."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._ready: collections.deque[Any] = collections.deque()
        self._timers: list[tuple[float, int, Any]] = []
        self._timed = 0
        self._draws: Draws | None = None
        self._stopping: bool

    def begin(self, draws: Draws | None, now: float = 0.0) -> None:
        """Set the clock, and what the order is drawn from (None: asyncio's own order)."""
        self._ready.clear()
        self._timers.clear()
        self._now, self._timed = now, 0
        self._draws = draws

    def begin_nothing(self) -> None:
        """Let what was cancelled end, in asyncio's own order."""
        self._draws = None

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """See AbstractEventLoop.call_soon."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """See AbstractEventLoop.call_at. Of two timers of one moment the first set is the first due."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timed += 1
        heapq.heappush(self._timers, (when, self._timed, timer))
        return timer

    def _run_once(self) -> None:
        """One round: what is ready now, each in its turn; before it, if nothing is, a jump to the next timer."""
        ready, timers, draws = self._ready, self._timers, self._draws
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not ready and not self._stopping:
            if not timers:
                raise StalledError("nothing can run and no timer is set")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:
                ready.append(timer)
        for _ in range(len(ready)):
            if draws is not None and len(ready) > 1:
                ready.rotate(-(next(draws) % len(ready)))
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        """Asynchronous generators need not be known: none is left when a history has ended."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Refused: a thread would run when the machine pleases."""
        raise RuntimeError(f"the simulation has no threads ({getattr(func, '__name__', func)})")

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""
