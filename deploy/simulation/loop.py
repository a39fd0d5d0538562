"""An event loop whose time is virtual and whose order is drawn from a seed.

Nothing sleeps: when nothing can run, the clock jumps to the next timer. Of what can run, a seeded choice runs
next; without a seed it is the order of asyncio. The same seed gives the same order, whatever the machine.
"""

from __future__ import annotations

import asyncio
import collections
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


class _Timers:
    """Stands where a selector stands: waiting is moving the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        """Jump ``timeout`` seconds on."""
        if timeout is None:
            raise StalledError("nothing can run and no timer is set")
        if timeout > 0:
            self._loop.advance(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. One loop may run many histories, one after the other; ``begin`` starts the next."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._ready: _Shuffled = _Shuffled()
        self._selector = _Timers(self)

    def begin(self, draw: Draw | None) -> None:
        """Set the clock to 0 and the order to ``draw`` (None: asyncio's own)."""
        self._ready.clear()
        self._scheduled: list[Any] = []
        self._timer_cancelled_count = 0  # decides when timers are heaped anew, and so the order of equal ones
        self._now = 0.0
        self._ready.draw = draw

    def begin_nothing(self) -> None:
        """Let what was cancelled end, in asyncio's own order."""
        self._ready.draw = None

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass. A nanosecond more than asked: rounding must not leave a timer in the future."""
        self._now += seconds + 1e-9

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Refused: a thread would run when the machine pleases."""
        raise RuntimeError(f"the simulation has no threads ({getattr(func, '__name__', func)})")

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""
