"""BeginDay (architecture §5): idempotent per service and date, missed days in order, rehearsal only."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.kernel.errors import Refusal
from shared.kernel.events import DayBegun
from shared.testing.service import MemoryService, memory_service
from shared.web.calendar import CalendarYear, days_to_begin, decide, evolve
from shared.web.settings import ServiceSettings
from tests.unit.web.conftest import SERVICE

DAY = dt.date(2019, 12, 30)


def test_a_day_begins_once() -> None:
    begun = decide(CalendarYear(), DAY)
    assert begun == [DayBegun(day=DAY)]
    state = evolve(CalendarYear(), begun[0])
    assert decide(state, DAY) == []
    assert decide(state, DAY - dt.timedelta(days=1)) == []
    assert decide(state, DAY + dt.timedelta(days=1)) != []


def test_missed_days_are_begun_in_order() -> None:
    assert days_to_begin(None, DAY) == [DAY]
    assert days_to_begin(DAY, DAY) == []
    assert days_to_begin(DAY, dt.date(2020, 1, 1)) == [dt.date(2019, 12, 31), dt.date(2020, 1, 1)]


def test_a_jump_of_years_is_a_mistake() -> None:
    refusal = days_to_begin(DAY, dt.date(2021, 12, 30))
    assert isinstance(refusal, Refusal)
    assert refusal.rule == "TOO_MANY_MISSED_DAYS"


async def begin(service: MemoryService, day: str, **options: list[str]) -> tuple[int, dict[str, object]]:
    async with service.client(options.get("scopes", ["ops"])) as client:
        response = await client.post("/ops/begin-day", json={"date": day})
    return response.status_code, response.json()


async def test_days_reach_the_log_a_stream_a_year(service: MemoryService) -> None:
    assert await begin(service, "2019-12-30") == (200, {"date": "2019-12-30", "begun": ["2019-12-30"]})
    assert (await begin(service, "2020-01-02"))[1]["begun"] == ["2019-12-31", "2020-01-01", "2020-01-02"]
    assert (await begin(service, "2020-01-01"))[1]["begun"] == []
    recorded = await service.parts.log.read(0, 10)
    assert [(one.era, one.stream, one.version) for one in recorded] == [
        (2019, "process:calendar:registration", 1),
        (2019, "process:calendar:registration", 2),
        (2020, "process:calendar:registration", 1),
        (2020, "process:calendar:registration", 2),
    ]
    assert [one.occurred_at.date() for one in recorded] == [one.event.day for one in recorded]
    assert service.ports.clock.today() == dt.date(2020, 1, 2)


async def test_the_clock_is_found_again_where_it_stood(service: MemoryService) -> None:
    await begin(service, "2019-12-30")
    again = memory_service(SERVICE, parts=service.parts)
    service.parts.clock._today = dt.date(2016, 1, 1)
    await again.app.state.calendar.restore()
    assert again.ports.clock.today() == DAY


async def test_a_day_whose_answer_was_lost_is_begun_when_asked_again(service: MemoryService) -> None:
    """The commit was unknown to us: asked again there is nothing to begin, and the clock stands at that day."""
    await begin(service, "2019-12-30")
    service.parts.clock._today = dt.date(2019, 12, 29)
    assert (await begin(service, "2019-12-30"))[1]["begun"] == []
    assert service.ports.clock.today() == DAY


async def test_beginning_days_is_for_operators(service: MemoryService) -> None:
    status, problem = await begin(service, "2019-12-30", scopes=["registration:notes:write"])
    assert (status, problem["code"]) == (403, "INSUFFICIENT_SCOPE")


async def test_a_simulated_clock_needs_a_rehearsal() -> None:
    settings = ServiceSettings(rehearsal=False)
    async with memory_service(SERVICE, settings=settings) as service:
        status, problem = await begin(service, "2019-12-30")
    assert (status, problem["code"]) == (403, "REHEARSAL_ONLY")


@pytest.mark.parametrize("day", ["2019-02-30", "yesterday", "", None, 5])
async def test_what_is_no_date_is_refused(service: MemoryService, day: object) -> None:
    async with service.client(["ops"]) as client:
        refused = await client.post("/ops/begin-day", json={"date": day})
    assert (refused.status_code, refused.json()["field"]) == (422, "date")
