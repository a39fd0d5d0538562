"""Ports for time, ids, randomness, sleeping and task starts.

Nothing outside this module's adapters may ask the operating system for any of them: that is
what lets one seed replay a history exactly. Two clocks (architecture §5, ADR 0024):
``Clock`` is business time in Asia/Shanghai and may be simulated; ``SystemClock`` serves
tokens, locks and metrics and never enters an event.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import secrets
import time
from collections.abc import Coroutine
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
        """128 random bits as 32 hex characters: person ids."""
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


def uuid7(unix_ms: int, entropy: bytes) -> str:
    """RFC 9562 UUIDv7 text from milliseconds and 10 random bytes."""
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(entropy, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class SystemRuntime:
    """The operating system's time, entropy and event loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def timestamp(self) -> float:
        return time.time()

    def new_id(self) -> str:
        return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))

    def random_id(self) -> str:
        return secrets.token_hex(16)

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

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
        return self._random.randbytes(16).hex()

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        await asyncio.sleep(0)

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work, name=name)
