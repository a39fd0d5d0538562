"""BeginDay (日切): the one command that moves business days, idempotent per service and date.

Each day is a ``DayBegun`` in ``process:calendar:<service>`` (a stream a year); missed days are begun in
order. The last day lies beside the log in the same transaction, so a simulated clock stands again where it
stood when a process restarts.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared.eventstore.commands import Accepted, Append, Command, Loaded, RowWrite, Store
from shared.eventstore.database import Database
from shared.eventstore.streams import Category, Metadata, Stream
from shared.kernel.clock import SHANGHAI, Clock, Runtime, SimulatedClock
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.events import DayBegun
from shared.web.service import Ports
from shared.web.tables import BUSINESS_CLOCK

MAX_MISSED_DAYS = 400
SCHEDULER_SECONDS = 20.0
FOLLOW_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """The days of a year that were begun: the last one."""

    last: dt.date | None = None


def evolve(state: CalendarYear, event: object) -> CalendarYear:
    """Fold a year's DayBegun events."""
    return CalendarYear(event.day) if isinstance(event, DayBegun) else state


PROCESS: Category[CalendarYear] = Category("process", CalendarYear(), evolve)


def calendar_stream(service: str, day: dt.date) -> Stream[CalendarYear]:
    """The stream of the day's year."""
    return PROCESS.stream("calendar", service, era=day.year)


def decide(state: CalendarYear, day: dt.date) -> list[DayBegun]:
    """Nothing when the day, or a later one of its year, was begun before."""
    return [] if state.last is not None and day <= state.last else [DayBegun(day=day)]


def days_to_begin(last: dt.date | None, day: dt.date) -> list[dt.date] | Refusal:
    """Missed days and ``day``, in order; only ``day`` when none was ever begun."""
    if last is None:
        return [day]
    missed = (day - last).days
    if missed > MAX_MISSED_DAYS:
        return Refusal("INVALID_STATE", rule="TOO_MANY_MISSED_DAYS", field="date")
    return [last + dt.timedelta(days=number) for number in range(1, missed + 1)]


_DAY = sa.select(BUSINESS_CLOCK.c.day).where(BUSINESS_CLOCK.c.service == sa.bindparam("of"))


class Calendar:
    """Begins days of one service."""

    def __init__(self, service: str, store: Store, database: Database, clock: Clock) -> None:
        self._service = service
        self._store = store
        self._database = database
        self._clock = clock

    @property
    def simulated(self) -> bool:
        """True when days come only from BeginDay."""
        return isinstance(self._clock, SimulatedClock)

    async def last(self) -> dt.date | None:
        """The day last begun."""
        async with self._database.read() as connection:
            rows = await connection.execute(_DAY, {"of": self._service})
        day: dt.date | None = rows[0].day if rows else None
        return day

    async def restore(self) -> None:
        """Let a simulated clock stand at the day last begun."""
        last = await self.last()
        if last is not None and isinstance(self._clock, SimulatedClock):
            self._clock.begin(last)

    async def begin(self, day: dt.date, metadata: Metadata) -> Sequence[dt.date]:
        """Begin ``day`` and the missed ones before it; answers the days begun now (none: it was before).

        Raises ProblemError: the future on a wall clock, too many missed days, or a lost race.
        """
        if not self.simulated and day > self._clock.today():
            raise ProblemError(Refusal("INVALID_STATE", rule="DAY_IN_THE_FUTURE", field="date"))
        days = days_to_begin(await self.last(), day)
        if isinstance(days, Refusal):
            raise ProblemError(days)
        begun = []
        for one in days:
            outcome = await self._store.execute(self._command(one, metadata))
            if isinstance(outcome, Refusal):
                raise ProblemError(outcome)
            if outcome.position:
                begun.append(one)
            if isinstance(self._clock, SimulatedClock):
                self._clock.begin(one)
        if not days:
            await self.restore()  # begun by another process, or by this one when the answer was lost
        return begun

    def _command(self, day: dt.date, metadata: Metadata) -> Command:
        stream = calendar_stream(self._service, day)

        def judge(loaded: Loaded) -> Accepted:
            events = decide(loaded.state(stream), day)
            if not events:
                return Accepted(status=200)
            row = RowWrite(BUSINESS_CLOCK, {"service": self._service, "day": day})
            return Accepted([Append(stream, events)], rows=[row])

        return Command(
            "begin_day",
            [stream],
            judge,
            metadata,
            occurred_at=dt.datetime.combine(day, dt.time(), SHANGHAI),
        )


async def begin_missed_days(calendar: Calendar, ports: Ports, stop: asyncio.Event) -> None:
    """The scheduler of a wall clock: today and missed days, at start and soon after each midnight."""
    while not stop.is_set():
        today = ports.clock.today()
        last = await calendar.last()
        if last is None or last < today:
            correlation = ports.runtime.new_id()
            await calendar.begin(today, Metadata(correlation, causation="scheduler", actor="scheduler"))
        await ports.runtime.sleep(SCHEDULER_SECONDS)


async def follow_clock(calendar: Calendar, runtime: Runtime, stop: asyncio.Event) -> None:
    """A process that is one of several: another may have begun the day."""
    while not stop.is_set():
        await calendar.restore()
        await runtime.sleep(FOLLOW_SECONDS)
