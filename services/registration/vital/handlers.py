"""Commands about deaths and households."""

from __future__ import annotations

import datetime as dt

from services.registration.sources import Residents
from services.registration.vital import domain
from services.registration.vital.stream import batch, life
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.clock import Clock
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision


class Vitals:
    """Reports and corrects deaths, moves households."""

    def __init__(self, store: Store, clock: Clock, residents: Residents) -> None:
        self._store = store
        self._clock = clock
        self._residents = residents

    def report_death_command(
        self,
        person_id: str,
        date: dt.date,
        source: str,
        batch_month: str,
        metadata: Metadata,
        key: IdempotencyKey | None = None,
    ) -> Command:
        """Report a death; 201 with what counts now, 200 when the same fact was known."""
        stream = life(person_id)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            resident = self._residents.of(loaded, person_id)
            if resident is None:
                return unknown_person()
            events = domain.report_death(
                loaded.state(stream), person_id, resident.division, resident.birth, date, source,
                batch_month, today,
            )  # fmt: skip
            return _answer(stream, events, loaded)

        return Command("report_death", [stream, *self._residents.streams(person_id)], judge, metadata, key)

    async def report_death(
        self,
        person_id: str,
        date: dt.date,
        source: str,
        batch_month: str,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Outcome:
        """See ``report_death_command``."""
        command = self.report_death_command(person_id, date, source, batch_month, metadata, key)
        return await self._store.execute(command)

    async def correct_death(
        self,
        person_id: str,
        date: dt.date | None,
        source: str,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Outcome:
        """Correct or withdraw a source's report."""
        stream = life(person_id)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            resident = self._residents.of(loaded, person_id)
            if resident is None:
                return unknown_person()
            events = domain.correct_death(
                loaded.state(stream), person_id, resident.birth, date, source, today
            )
            return _answer(stream, events, loaded)

        return await self._store.execute(
            Command("correct_death", [stream, *self._residents.streams(person_id)], judge, metadata, key)
        )

    async def change_hukou(
        self,
        person_id: str,
        hukou_division: str | None,
        date: dt.date,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Outcome:
        """Move the household registration, or cancel it (``hukou_division`` None)."""
        stream = life(person_id)
        today = self._clock.today()

        def judge(loaded: Loaded) -> Accepted | Refusal:
            if self._residents.of(loaded, person_id) is None:
                return unknown_person()
            state = loaded.state(stream)
            events = (
                domain.cancel_hukou(state, person_id, date, today)
                if hukou_division is None
                else domain.change_hukou(state, person_id, hukou_division, date, today)
            )
            return _answer(stream, events, loaded)

        return await self._store.execute(
            Command("change_hukou", [stream, *self._residents.streams(person_id)], judge, metadata, key)
        )

    async def receive_batch(
        self, source: str, month: str, count: int, metadata: Metadata, key: IdempotencyKey | None
    ) -> Outcome:
        """Note a source's monthly report."""
        stream = batch(source, month)

        def judge(loaded: Loaded) -> Accepted | Refusal:
            events = domain.receive_batch(loaded.state(stream), source, month, count)
            if isinstance(events, Refusal):
                return events
            appends = [Append(stream, events)] if events else []
            return Accepted(
                appends, response={"source": source, "month": month}, status=201 if events else 200
            )

        return await self._store.execute(Command("receive_death_batch", [stream], judge, metadata, key))


def note_batch_command(source: str, month: str, metadata: Metadata, key: IdempotencyKey) -> Command:
    """A single report also shows that the source reports for the month."""
    stream = batch(source, month)

    def judge(loaded: Loaded) -> Accepted | Refusal:
        events = domain.receive_batch(loaded.state(stream), source, month, 1)
        if isinstance(events, Refusal):
            return events
        return Accepted([Append(stream, events)] if events else [])

    return Command("receive_death_batch", [stream], judge, metadata, key)


def find_overdue_command(source: str, month: str, metadata: Metadata, key: IdempotencyKey) -> Command:
    """Flag a source that did not report for a month, once."""
    stream = batch(source, month)

    def judge(loaded: Loaded) -> Accepted:
        events = domain.find_overdue(loaded.state(stream), source, month)
        return Accepted([Append(stream, events)] if events else [])

    return Command("find_overdue_death_report", [stream], judge, metadata, key)


def unknown_person() -> Refusal:
    """Nobody is registered under the id."""
    return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="person_id")


def _answer(stream: Stream[domain.Life], events: Decision, loaded: Loaded) -> Accepted | Refusal:
    if isinstance(events, Refusal):
        return events
    state = loaded.state(stream)
    for event in events:
        state = domain.evolve(state, event)
    response = {"died_on": state.died_on, "disputed": state.disputed}
    appends = [Append(stream, events)] if events else []
    return Accepted(appends, response=response, status=201 if events else 200)
