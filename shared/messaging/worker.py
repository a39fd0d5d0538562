"""Runs a consumer, watches its progress, and starts it anew when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from shared.kernel.clock import Runtime
from shared.messaging.broker import BrokerError
from shared.messaging.consumer import RETRY_SECONDS, Consumer
from shared.messaging.metrics import MessagingMetrics, NoMetrics

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
STALL_SECONDS = 30.0
POLL_SECONDS = 0.5
ANSWER_SECONDS = 10.0


class ConsumerWorker:
    """A consumer that outlives brokers, databases and itself."""

    def __init__(
        self,
        consumer: Consumer,
        runtime: Runtime,
        metrics: MessagingMetrics | None = None,
        *,
        stall_seconds: float = STALL_SECONDS,
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        self._consumer = consumer
        self._runtime = runtime
        self._metrics = metrics or NoMetrics()
        self._stall_seconds = stall_seconds
        self._watch_seconds = watch_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until ``stop``."""
        while not stop.is_set():
            work = self._runtime.start(self._work(stop), f"consumer-{self._consumer.group}")
            try:
                reason = await self._watch(work, stop)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await self._consumer.leave()
            if reason:
                logger.error("consumer %s: started anew: %s", self._consumer.group, reason)
                self._metrics.consumer_restarted(reason)
                await self._runtime.sleep(RETRY_SECONDS[0])

    async def _work(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                await self._consumer.run_once(POLL_SECONDS)
                failures = 0
            except asyncio.CancelledError:
                raise
            except Exception as error:
                failures += 1
                if failures & (failures - 1) == 0:
                    expected = isinstance(error, BrokerError)
                    logger.warning(
                        "consumer %s: %s (%d in a row)",
                        self._consumer.group,
                        type(error).__name__,
                        failures,
                        exc_info=None if expected else error,
                    )
                await self._runtime.sleep(
                    min(RETRY_SECONDS[1], RETRY_SECONDS[0] * 2 ** min(failures - 1, 10))
                )

    async def _watch(self, work: asyncio.Task[None], stop: asyncio.Event) -> str:
        """Why the consumer must start anew; empty when it is to stop."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._watch_seconds):
                    await stop.wait()
            if work.done() and not stop.is_set():
                return "ended"
            with contextlib.suppress(BrokerError, TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    stalled = self._consumer.stalled(await self._consumer.lag(), self._stall_seconds)
                    if stalled:
                        return "no progress"
        await asyncio.gather(work, return_exceptions=True)
        return ""
