"""Tasks that run beside the routes: started together, watched, stopped together.

A task that ends by itself or raises shows in ``/readyz`` and is started again after a pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping

from shared.kernel.clock import Runtime
from shared.observability.logging import logger

RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0

Work = Callable[[asyncio.Event], Awaitable[None]]
log = logger(__name__)


class Background:
    """The tasks of one process. conditions: where a fault of a task is written, by its name."""

    def __init__(self, runtime: Runtime, conditions: MutableMapping[str, str]) -> None:
        self._runtime = runtime
        self._conditions = conditions
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._interruptible: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Work, *, interrupt: bool = False) -> None:
        """Run ``work(stop)`` until told to stop; ``interrupt``: it may be cancelled anywhere, at once."""
        task = self._runtime.start(self._keep(name, work), name)
        self._tasks.append(task)
        if interrupt:
            self._interruptible.append(task)

    async def stop(self) -> None:
        """Tell all to stop; those that do not within ``STOP_SECONDS`` are cancelled."""
        self._stop.set()
        if not self._tasks:
            return
        for task in self._interruptible:
            task.cancel()
        _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in late:
            log.warning("background_cancelled", task=task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._interruptible.clear()

    async def _keep(self, name: str, work: Work) -> None:
        while not self._stop.is_set():
            try:
                await work(self._stop)
                fault = "ended"
            except Exception as error:
                log.error("background_failed", task=name, exc_info=error)
                fault = type(error).__name__
            if self._stop.is_set():
                return
            self._conditions[name] = fault
            await self._runtime.sleep(RESTART_SECONDS)
            self._conditions.pop(name, None)
