"""Commands over medical cover, all following from facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.entitlements import domain
from services.registration.entitlements.stream import cover
from services.registration.facts import Booked, Insured, Resident
from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Bookings, Enrolments, Residents
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class Entitlements:
    """Builds the commands that note government's part and review cover."""

    def __init__(
        self, residents: Residents, enrolments: Enrolments, bookings: Bookings, policies: PolicyFacts
    ) -> None:
        self._residents = residents
        self._enrolments = enrolments
        self._bookings = bookings
        self._policies = policies

    def streams(self, year: int, person_id: str) -> list[Stream[Any]]:
        """See ``sources.CoverReviews``."""
        return [
            cover(year, person_id),
            self._bookings.stream(year, person_id),
            *self._residents.streams(person_id),
            self._enrolments.stream(Insurance.MEDICAL, person_id),
        ]

    def after_booking(
        self, loaded: Loaded, year: int, resident: Resident, enrolment: Insured | None, booked: Booked | None
    ) -> Sequence[Event]:
        """See ``sources.CoverReviews``."""
        years: YearPolicies = loaded.fact(self._policies, year)
        policy = years.of(booked.village if booked is not None else resident.division)
        state = loaded.state(cover(year, resident.person_id))
        return domain.review_cover(state, year, resident, enrolment, booked, policy)

    def review_command(self, year: int, person_id: str, metadata: Metadata, key: IdempotencyKey) -> Command:
        """Bring the year's cover in line with what is known."""
        stream = cover(year, person_id)

        def judge(loaded: Loaded) -> Accepted:
            booked = self._bookings.of(loaded, Insurance.MEDICAL, person_id, year)
            events = self._review(loaded, loaded.state(stream), year, person_id, booked)
            return Accepted([Append(stream, events)] if events else [])

        streams = self.streams(year, person_id)
        return Command("review_cover", streams, judge, metadata, key, [(self._policies, [year])])

    def note_government_command(self, noted: domain.NoteGovernment, metadata: Metadata) -> Command:
        """Keep what government carries of the standard, and review the cover with it."""
        year, person_id = noted.year, noted.person_id
        stream = cover(year, person_id)

        def judge(loaded: Loaded) -> Accepted:
            state = loaded.state(stream)
            events = domain.note_government_legs(state, noted)
            if not events:
                return Accepted()
            booked = self._bookings.of(loaded, Insurance.MEDICAL, person_id, year)
            after = domain.evolve(state, events[0])
            reviewed = self._review(loaded, after, year, person_id, booked)
            return Accepted([Append(stream, [*events, *reviewed])])

        streams = self.streams(year, person_id)
        facts = [(self._policies, [year])]
        return Command("note_government_legs", streams, judge, metadata, facts=facts)

    def _review(
        self,
        loaded: Loaded,
        state: domain.CoverState,
        year: int,
        person_id: str,
        booked: Booked | None,
    ) -> list[Event]:
        resident = self._residents.of(loaded, person_id)
        if resident is None:
            return []
        years: YearPolicies = loaded.fact(self._policies, year)
        return domain.review_cover(
            state,
            year,
            resident,
            self._enrolments.of(loaded, Insurance.MEDICAL, person_id, year),
            booked,
            years.of(booked.village if booked is not None else resident.division),
        )
