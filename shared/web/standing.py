"""What a process tells of itself when it is asked (运行指标): why it is not ready, and what its database knows.

Both ``/readyz`` and ``/metrics`` ask here, so that an alert sees what a load balancer sees. Gauges are asked of the
database by every process: they survive a restart, and an API process tells that no worker moves anything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from shared.eventstore.checkpoints import Checkpoint, read_checkpoints
from shared.eventstore.dead_letters import OPEN
from shared.eventstore.log import Failure
from shared.eventstore.projections import checkpoint_name
from shared.eventstore.tailing import Projection
from shared.messaging.relay import CURSOR
from shared.observability.logging import logger
from shared.web.machinery import DATABASE_AWAY, Machinery
from shared.web.service import Ports, ServiceDescription

LOGGER = logger(__name__)

ANSWER_SECONDS = 3.0
"""A scrape waits 4 s: a database that does not answer by then is away."""

SURE_SECONDS = 1.0
"""A lag below it is told as it is; above it, events the reader has no use for are looked past."""


class Standing:
    """Of one process."""

    def __init__(self, ports: Ports, description: ServiceDescription, machinery: Machinery) -> None:
        self._ports = ports
        self._description = description
        self._machinery = machinery

    async def faults(self) -> list[str]:
        """Why the process is not ready, a few words each; none when it is. Raises nothing of the database's."""
        found: list[str] = []
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found += await self._machinery.faults()
                if DATABASE_AWAY not in found:
                    found += [fault for check in self._description.checks if (fault := await check())]
        except Exception as error:  # noqa: BLE001 - judged below
            self._only_away(error)
            found.append(DATABASE_AWAY)
        return found

    async def tell(self) -> None:
        """Set the gauges. A database that is away is a fault to be told and no reason to say nothing."""
        for work, failures in self._machinery.failures.items():
            self._ports.metrics.work_failures(work, failures())
        now = self._ports.runtime.monotonic
        deadline = now() + ANSWER_SECONDS
        faults = await self.faults()
        if DATABASE_AWAY not in faults:
            try:
                async with asyncio.timeout(deadline - now()):
                    await self._gauges()
            except TimeoutError:
                LOGGER.warning("gauges_not_told")  # it answers, but not all of it in a scrape's time
            except Exception as error:  # noqa: BLE001 - judged below
                self._only_away(error)
                faults.append(DATABASE_AWAY)
        self._ports.metrics.faults(len(faults))

    def _only_away(self, error: Exception) -> None:
        """Raises what does not say that the database is away or too busy."""
        if not isinstance(error, TimeoutError) and self._ports.log.failure(error) is Failure.COMMAND:
            raise error

    async def _gauges(self) -> None:
        metrics, machinery = self._ports.metrics, self._machinery
        head = await self._ports.log.head()
        metrics.log_position(head)
        metrics.queue_capacity(self._ports.settings.queue_size)
        dead: Counter[str] = Counter()
        parked: Counter[str] = Counter()
        for (_, name, state), count in (await machinery.letters.counts()).items():
            (dead if state == OPEN else parked)[name] += count
        metrics.letters(dead, parked)
        await self._readers(head)
        for gauge in self._description.gauges:
            await gauge()

    async def _readers(self, head: int) -> None:
        names = [CURSOR, *map(checkpoint_name, self._description.projections)]
        async with self._ports.database.read() as connection:
            stored = await read_checkpoints(connection, names)
        if self._description.publications:
            self._ports.metrics.relay_position(stored[CURSOR].position)
        for projection in self._description.projections:
            seconds = await self._age(projection, stored, head)
            self._ports.metrics.projection_lag_seconds(projection.name, seconds)

    async def _age(self, projection: Projection, stored: Mapping[str, Checkpoint], head: int) -> float:
        """Seconds since the oldest event that a projection has not applied was appended; 0: there is none."""
        log, name = self._ports.log, checkpoint_name(projection)
        passed = self._machinery.positions.get(name, int)()
        position = max(stored[name].position, passed)
        if position >= head:
            return 0.0
        seconds = await log.lag_seconds(position)
        if seconds < SURE_SECONDS:
            return seconds
        first = await log.find(self._ports.types.names(projection.handles), position, 1)
        return await log.lag_seconds(first[0].position - 1) if first else 0.0
