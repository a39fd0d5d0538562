"""What the writer tells about itself."""

from __future__ import annotations

import asyncio

from shared.eventstore.commands import Page
from shared.eventstore.writer import Writer
from shared.testing.store import memory_store
from tests.contract.eventstore.sample import TYPES, key, metadata, pay


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.outcomes: list[tuple[str, str]] = []
        self.refusals: list[str] = []
        self.depths: list[int] = []

    def append_batch(self, size: int, seconds: float, lock_wait_seconds: float) -> None:
        self.batches.append(size)

    def queue_depth(self, commands: int) -> None:
        self.depths.append(commands)

    def command(self, operation: str, outcome: str) -> None:
        self.outcomes.append((operation, outcome))

    def refusal(self, code: str) -> None:
        self.refusals.append(code)


async def test_batches_outcomes_and_refusals_are_counted() -> None:
    async with memory_store(TYPES, [metadata]) as parts:
        metrics = Recorder()
        positions: list[int] = []
        store = Writer(
            log=parts.log, clock=parts.clock, runtime=parts.runtime, types=TYPES, metrics=metrics, cap=4
        )
        store.subscribe(positions.append)
        await store.start()
        commands = [pay("a", 1, limit=2) for _ in range(5)] + [
            pay("b", idempotency=key("k")) for _ in range(2)
        ]
        await asyncio.gather(*map(store.execute, commands))
        await store.execute_page(Page([pay("c")]))
        await store.stop()
        assert metrics.batches == [2, 1, 1]
        assert metrics.depths[0] == 7
        assert positions == [2, 3, 4]
        assert metrics.outcomes.count(("pay", "accepted")) == 4
        assert metrics.outcomes.count(("pay", "replayed")) == 1
        assert metrics.outcomes.count(("pay", "refused")) == 3
        assert metrics.refusals == ["PURSE_FULL"] * 3


async def test_who_is_turned_away_from_a_full_queue_is_counted() -> None:
    """CommandQueueFull goes by this count: a queue that is full between two scrapes shows."""
    async with memory_store(TYPES, [metadata]) as parts:
        metrics = Recorder()
        store = Writer(
            log=parts.log, clock=parts.clock, runtime=parts.runtime, types=TYPES, metrics=metrics, queue=3
        )
        await store.start()
        await asyncio.gather(*[store.execute(pay("a")) for _ in range(5)], return_exceptions=True)
        await store.stop()
        assert metrics.refusals == ["OVERLOADED"] * 2
