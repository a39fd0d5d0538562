"""When accepted payments are seen as PAID: a sample of lines looked for in the other services' read models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import asyncpg

EVERY_SECONDS = 0.05
AHEAD = 200


class Watch:
    """One read model. sql: answers those of the keys ``$1`` (text[]) that are there."""

    def __init__(self, url: str, sql: str, keys: Sequence[str]) -> None:
        self._url = url
        self._sql = sql
        self._left = list(keys)
        self.seen: dict[str, float] = {}
        """Key -> Unix seconds it was first seen."""
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """Look until everything was seen or ``stop`` is set. Keys are paid in their order, about."""
        connection = await asyncpg.connect(self._url, timeout=10)
        try:
            while self._left and not self.stop.is_set():
                rows = await connection.fetch(self._sql, self._left[:AHEAD])
                now = time.time()
                found = {row[0] for row in rows}
                if found:
                    self.seen |= dict.fromkeys(found, now)
                    self._left = [key for key in self._left if key not in found]
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            await connection.close()


def delays(answered: Mapping[str, float], seen: Mapping[str, float]) -> tuple[list[float], int]:
    """Seconds from answer to sight, in order, and how many were answered and never seen."""
    found = sorted(max(0.0, seen[key] - at) for key, at in answered.items() if key in seen)
    return found, sum(1 for key in answered if key not in seen)


def share(ordered: Sequence[float], part: float) -> float:
    """A percentile of an ordered list; 0 for none."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
