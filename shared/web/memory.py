"""Memory after a peak: what the C library keeps free goes back to the machine.

A district's rosters, a replay or a large file take hundreds of megabytes for seconds. glibc keeps what was freed in
between for the process alone; here four services, PostgreSQL and a broker share one machine.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from shared.kernel.clock import Runtime

LOOK_SECONDS = 10.0
GROWTH = 32 * 1024 * 1024
"""Bytes a process grows by before it is worth the look through its free lists."""

_STATM = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of the process in memory; 0 where the machine does not say."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_back() -> None:
    """``malloc_trim`` of glibc, without holding the interpreter; nothing where the C library has none."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Trimming:
    """Gives back when the process has grown since it last did."""

    def __init__(
        self,
        runtime: Runtime,
        resident: Callable[[], int] = resident,
        give_back: Callable[[], None] = give_back,
    ) -> None:
        self._runtime = runtime
        self._resident = resident
        self._give_back = give_back
        self._least = resident()

    async def look(self) -> bool:
        """One look; True when something may have been given back."""
        now = self._resident()
        if now - self._least < GROWTH:
            self._least = min(self._least, now)
            return False
        await asyncio.to_thread(self._give_back)
        self._least = self._resident()
        return True

    async def run(self, _stop: asyncio.Event) -> None:
        """Look now and then, for ever."""
        while True:
            await self._runtime.sleep(LOOK_SECONDS)
            await self.look()
