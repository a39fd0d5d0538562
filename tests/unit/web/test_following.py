"""A worker beside another process acts on the day last begun (ADR 0024)."""

from __future__ import annotations

import datetime as dt

from shared.eventstore.commands import Page
from shared.testing.service import MemoryService
from shared.web.following import FollowingStore, FollowingTail

DAY = dt.date(2019, 12, 30)


async def behind(service: MemoryService) -> None:
    """Another process has begun the day; this one's clock does not know."""
    async with service.client(["ops"]) as client:
        assert (await client.post("/ops/begin-day", json={"date": DAY.isoformat()})).status_code == 200
    service.parts.clock._today = dt.date(2016, 1, 1)


async def test_whoever_reads_an_event_knows_its_day(service: MemoryService) -> None:
    """A reaction to DayBegun reckons in that day, not in the one this process had seen last."""
    await behind(service)
    tail = FollowingTail(service.parts.log, service.app.state.calendar)
    page = await tail.read_page(0, 10)
    assert [recorded.event.day for recorded in page.events] == [DAY]
    assert service.ports.clock.today() == DAY


async def test_nothing_read_asks_nothing(service: MemoryService) -> None:
    """An idle worker does not ask for the day at every look."""
    await behind(service)
    tail = FollowingTail(service.parts.log, service.app.state.calendar)
    assert (await tail.read_page(10, 10)).events == []
    assert service.ports.clock.today() == dt.date(2016, 1, 1)


async def test_a_page_is_recorded_on_the_day_last_begun(service: MemoryService) -> None:
    """Facts of other services are received today, not yesterday."""
    await behind(service)
    store = FollowingStore(service.parts.store, service.app.state.calendar)
    assert await store.execute_page(Page(())) == []
    assert service.ports.clock.today() == DAY
    assert not store.full
