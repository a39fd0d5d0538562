"""Ports for time, ids, randomness, sleeping and task starts.

Nothing outside this module's adapters may ask the operating system for any of them: that is
what lets one seed replay a history exactly. Two clocks (architecture §5, ADR 0024):
``Clock`` is business time in Asia/Shanghai and may be simulated; ``SystemClock`` serves
tokens, locks and metrics and never enters an event.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Business time (业务时间)."""

    def now(self) -> dt.datetime:
        """Aware datetime in Asia/Shanghai."""
        ...

    def today(self) -> dt.date:
        """Local calendar date in Asia/Shanghai."""
        ...


class Runtime(Protocol):
    """The system's side of determinism: elapsed time, ids, randomness, sleep and tasks."""

    def monotonic(self) -> float:
        """Seconds for measuring durations."""
        ...

    def timestamp(self) -> float:
        """Unix seconds of the system clock: tokens, locks, metrics."""
        ...

    def new_id(self) -> str:
        """A time-ordered UUIDv7 as 36 characters: event ids, correlation ids."""
        ...

    def random_id(self) -> str:
        """The second and 96 random bits as 32 hex characters: person ids (ADR 0053)."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """Cryptographic in production: nonces, data keys."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Pause this task."""
        ...

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a named task; the caller keeps and awaits or cancels it."""
        ...


class WallClock:
    """Business time from the machine's clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(SHANGHAI)

    def today(self) -> dt.date:
        return self.now().date()


class SimulatedClock:
    """Business time that stands at 00:00 of the day last begun (rehearsals and tests)."""

    def __init__(self, today: dt.date) -> None:
        self._today = today

    def now(self) -> dt.datetime:
        return dt.datetime.combine(self._today, dt.time(), SHANGHAI)

    def today(self) -> dt.date:
        return self._today

    def begin(self, day: dt.date) -> None:
        """Move to ``day``; never backwards (a repeated BeginDay is harmless)."""
        self._today = max(self._today, day)


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_PIECES_AT_ONCE = 256

_PIECE_BYTES = 12
"""A nonce, the random part of a person's id, or of an event's (of which two bytes are left over). Keys are longer, and
come straight from the operating system."""


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """RFC 9562 UUIDv7 text from milliseconds and 10 random bytes."""
    return _uuid7_time(unix_ms) + _uuid7_rest(entropy)


def _uuid7_time(unix_ms: int) -> str:
    time_ = f"{unix_ms & 0xFFFFFFFFFFFF:012x}"
    return f"{time_[:8]}-{time_[8:]}"


def _uuid7_rest(entropy: bytes) -> str:
    rand = entropy[:10].hex()
    return f"-7{rand[1:4]}-{_VARIANT[rand[4]]}{rand[5:8]}-{rand[8:]}"


def _random_id(unix_seconds: int, entropy: bytes) -> str:
    return f"{unix_seconds & 0xFFFFFFFF:08x}{entropy.hex()}"


class _Pieces:
    """Pieces of the operating system's entropy, asked for many at once: the call costs more than a nonce.

    Taking one is atomic: no two threads get the same; a forked child asks for its own.
    """

    def __init__(self) -> None:
        self._ready: deque[bytes] = deque()
        os.register_at_fork(after_in_child=self._ready.clear)

    def take(self) -> bytes:
        """So many bytes as a piece has."""
        while True:
            try:
                return self._ready.popleft()
            except IndexError:
                block = os.urandom(_PIECES_AT_ONCE * _PIECE_BYTES)
                self._ready.extend(
                    block[start : start + _PIECE_BYTES] for start in range(0, len(block), _PIECE_BYTES)
                )


_PIECES = _Pieces()


class SystemRuntime:
    """The operating system's time, entropy and event loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def timestamp(self) -> float:
        return time.time()

    def __init__(self) -> None:
        self._now = (0, "")

    def new_id(self) -> str:
        now, told = time.time_ns() // 1_000_000, self._now
        if told[0] != now:
            told = self._now = (now, _uuid7_time(now))
        return told[1] + _uuid7_rest(_PIECES.take())

    def random_id(self) -> str:
        return _random_id(time.time_ns() // 1_000_000_000, _PIECES.take())

    def random_bytes(self, count: int) -> bytes:
        return _PIECES.take() if count == _PIECE_BYTES else os.urandom(count)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, name=name)


class SeededRuntime:
    """Everything from one seed and a counter: the same seed gives the same ids in the same order.

    Time advances only by ``sleep``: simulations and unit tests. Sleeping yields to the event
    loop once per call, so a waiting task cannot starve the others.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now = 1_600_000_000.0

    def monotonic(self) -> float:
        return self._now

    def timestamp(self) -> float:
        return self._now

    def new_id(self) -> str:
        return uuid7(int(self._now * 1000), self._random.randbytes(10))

    def random_id(self) -> str:
        return _random_id(int(self.timestamp()), self._random.randbytes(12))

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        await asyncio.sleep(0)

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, name=name)


class VirtualRuntime(SeededRuntime):
    """``SeededRuntime`` on an event loop whose own clock is virtual: sleeping waits for that clock.

    now: seconds of the loop's clock. Time passes only when nothing else can run (deploy/simulation).
    """

    def __init__(self, seed: int, now: Callable[[], float]) -> None:
        super().__init__(seed)
        self._virtual = now
        self._origin = self._now

    def monotonic(self) -> float:
        return self._virtual()

    def timestamp(self) -> float:
        return self._origin + self._virtual()

    def new_id(self) -> str:
        return uuid7(int(self.timestamp() * 1000), self._random.randbytes(10))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
