"""The open loop: arrivals come when they come, whether or not the last one was answered.

Latency is counted from the moment an arrival was due, not from the moment it could be sent: a system that stalls
is not flattered. Arrivals that could not even be queued are dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from deploy.load.connections import Answer, Pool
from deploy.load.orders import Sent

LATE_SECONDS = 0.01
"""Sent so much after it was due, an arrival counts as late."""
TICK_SECONDS = 0.0005
END_SECONDS = 30.0


@dataclass(slots=True)
class Outcome:
    """What was offered and what came of it. late: sent more than 10 ms after due; dropped: never sent."""

    sent: list[Sent] = field(default_factory=list)
    dropped: list[Sent] = field(default_factory=list)
    late: int = 0
    seconds: float = 0.0
    clock_origin: float = 0.0


class OpenLoop:
    """Offers arrivals to a pool at their moments."""

    def __init__(self, pool: Pool, told: Callable[[Sent], None] = lambda _: None) -> None:
        self._pool, self._told = pool, told
        self._loop = asyncio.get_running_loop()
        self.outcome = Outcome()
        self._open = 0

    @property
    def now(self) -> float:
        """Seconds of the run."""
        return self._loop.time() - self.outcome.clock_origin

    async def run(
        self, moments: Iterable[float], draw: Callable[[float], Sent | None], seconds: float
    ) -> None:
        """Every arrival at its moment; then at most ``END_SECONDS`` for the last answers."""
        outcome = self.outcome
        outcome.clock_origin = self._loop.time()
        patience = self._loop.time()
        for due in moments:
            wait = due - self.now
            if wait > TICK_SECONDS:
                await asyncio.sleep(wait)
            arrival = draw(due)
            if arrival is not None:
                self.offer(arrival)
            if self._loop.time() - patience > 1.0:
                patience = self._loop.time()
                self._pool.end_patience()
            if len(outcome.sent) % 64 == 0:
                await asyncio.sleep(0)  # answers are read even when arrivals come late
        outcome.seconds = max(self.now, seconds)
        await self.drained(END_SECONDS)

    async def drained(self, seconds: float) -> bool:
        """True once nothing is under way."""
        until = self._loop.time() + seconds
        while self._open and self._loop.time() < until:
            self._pool.end_patience()
            await asyncio.sleep(0.02)
        return not self._open

    def offer(self, arrival: Sent) -> None:
        """Send it now, or as soon as a connection is free."""
        arrival.started = self.now
        if arrival.started - arrival.due > LATE_SECONDS:
            self.outcome.late += 1

        def answered(answer: Answer) -> None:
            self._open -= 1
            arrival.answer = answer
            arrival.done = self.now
            self._told(arrival)

        if self._pool.offer(arrival.request, answered):
            self._open += 1
            self.outcome.sent.append(arrival)
        else:
            self.outcome.dropped.append(arrival)


async def settle(pool: Pool, unanswered: Iterable[Sent], seconds: float) -> int:
    """Ask again, under the same keys, until each is answered for good; answers how many are not.

    A channel that got no answer does not know whether its money was taken: it repeats until it does.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    left = [each for each in unanswered if unresolved(each)]
    while left and loop.time() < until:
        waits = [_again(pool, each, loop) for each in left[:500]]
        done = asyncio.gather(*waits)
        await asyncio.wait([done], timeout=max(until - loop.time(), 0.1))
        left = [each for each in left if unresolved(each)]
        if left:
            pool.end_patience()
            await asyncio.sleep(0.2)
    return len(left)


def unresolved(sent: Sent) -> bool:
    """Nobody knows what became of it: no answer, a 5xx, or a key still in use. A full queue is an answer: not taken."""
    answer = sent.known
    if answer.code == "OVERLOADED":
        return False
    return answer.status == 0 or answer.status >= 500 or answer.code == "IDEMPOTENCY_KEY_IN_USE"


def _again(pool: Pool, sent: Sent, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    future: asyncio.Future[None] = loop.create_future()

    def answered(answer: Answer) -> None:
        sent.settled = answer
        if not future.done():
            future.set_result(None)

    if not pool.offer(sent.request, answered):
        future.set_result(None)
    return future
