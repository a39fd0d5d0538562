"""An event loop whose time is virtual and whose order is drawn from a seed.

Nothing sleeps: when nothing can run, the clock jumps to the next timer. Of what can run, a seeded choice runs
next; without a seed it is the order of asyncio. The same seed gives the same order, whatever the machine.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
from collections.abc import Callable
from typing import Any, NoReturn

Draw = Callable[[int], int]
"""0 <= number < limit."""


class StalledError(Exception):
    """Nothing can run and no timer is set: somebody waits for ever."""


class _Shuffled(collections.deque[Any]):
    """What is ready; ``popleft`` takes a drawn one. Which one is taken is all that is drawn."""

    draw: Draw | None = None

    def popleft(self) -> Any:
        if self.draw is not None and len(self) > 1:
            self.rotate(-self.draw(len(self)))
        return super().popleft()


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. One loop may run many histories, one after the other; ``begin`` starts the next."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._ready: _Shuffled = _Shuffled()
        self._stopping: bool

    def begin(self, draw: Draw | None, now: float = 0.0) -> None:
        """Set the clock, and the order to ``draw`` (None: asyncio's own)."""
        self._ready.clear()
        self._scheduled: list[Any] = []
        self._now = now
        self._ready.draw = draw

    def begin_nothing(self) -> None:
        """Let what was cancelled end, in asyncio's own order."""
        self._ready.draw = None

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def _run_once(self) -> None:
        """One round: what is ready now, each in its turn; before it, if nothing is, a jump to the next timer."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready and not self._stopping:
            if not scheduled:
                raise StalledError("nothing can run and no timer is set")
            self._now = max(self._now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        for _ in range(len(ready)):
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
