"""Turns of a service's processes at its readers: who stands by does nothing, and takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from shared.kernel.clock import SystemRuntime
from shared.web.leading import Turns


class Lock:
    """One that processes hold in turn; those who hold it hear those who do not."""

    def __init__(self) -> None:
        self.holder: Holder | None = None


class Holder:
    """See ReaderLeadership."""

    def __init__(self, lock: Lock) -> None:
        self.heard: Callable[[], None] | None = None
        self._lock = lock

    async def hold(self) -> bool:
        if self._lock.holder is None:
            self._lock.holder = self
        return self._lock.holder is self

    async def release(self) -> None:
        if self._lock.holder is self:
            self._lock.holder = None

    async def tell(self) -> None:
        leader = self._lock.holder
        if leader is not None and leader.heard is not None:
            leader.heard()


class Writer:
    """Announces."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[int], None]] = []

    def subscribe(self, listener: Callable[[int], None]) -> None:
        self.listeners.append(listener)

    def wrote(self) -> None:
        for listener in self.listeners:
            listener(1)


class Process:
    """A process whose only reader counts its terms and how often it was rung."""

    def __init__(self, lock: Lock) -> None:
        self.holder, self.writer, self.stop = Holder(lock), Writer(), asyncio.Event()
        self.told: list[bool] = []
        self.turns = Turns(self.holder, self.writer, SystemRuntime(), self.told.append)
        self.terms = 0
        self.ended = asyncio.Event()
        self.works = asyncio.Event()
        self.rung = asyncio.Event()
        self.turns.subscribe(lambda _: self.rung.set())

    async def read(self, stop: asyncio.Event) -> None:
        self.terms += 1
        self.works.set()
        await stop.wait()
        self.works.clear()

    async def run(self) -> None:
        await asyncio.gather(self.turns.run(self.stop), self.turns.led(self.read, self.ended.set)(self.stop))


@asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[None]:
    """Until they have stopped, as a process's background does it."""
    tasks = [asyncio.ensure_future(each.run()) for each in processes]
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        for each in processes:
            each.stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def test_one_reads_and_the_other_takes_over_when_it_stops() -> None:
    """Whoever stands by does nothing; when the leader has stopped it reads within seconds."""
    lock = Lock()
    first, second = Process(lock), Process(lock)
    async with running(first):
        await first.works.wait()
        async with running(second):
            assert (first.turns.leads, second.turns.leads, second.terms) == (True, False, 0)
            first.stop.set()
            await second.works.wait()
            assert (second.turns.leads, second.terms, first.turns.leads) == (True, 1, False)
    assert second.told[0] is False
    assert second.told[-1] is False


async def test_who_lost_its_turn_stands_by_and_may_have_another() -> None:
    """Its session was ended while it was frozen: its readers end, and begin anew when it leads again."""
    lock = Lock()
    first, other = Process(lock), Holder(lock)
    async with running(first):
        await first.works.wait()
        lock.holder = other
        first.turns._wake.ring(0)
        await first.ended.wait()
        assert (first.terms, first.works.is_set(), first.turns.leads) == (1, False, False)
        await other.release()
        await first.works.wait()
        assert first.terms == 2


async def test_what_is_written_where_nobody_reads_wakes_the_leader() -> None:
    """A reader that only looked now and then would let every answer wait."""
    lock = Lock()
    first, second = Process(lock), Process(lock)
    async with running(first):
        await first.works.wait()
        async with running(second):
            first.rung.clear()
            second.writer.wrote()
            await first.rung.wait()
            assert second.terms == 0
