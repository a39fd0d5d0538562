"""Commands over medical cover, all following from facts."""

from __future__ import annotations

from typing import Any

from services.registration.entitlements import domain
from services.registration.entitlements.stream import cover
from services.registration.policies.domain import YearPolicies
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Bookings, Enrolments, Residents
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata, Stream
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

    def review_command(self, year: int, person_id: str, metadata: Metadata, key: IdempotencyKey) -> Command:
        """Bring the year's cover in line with what is known."""
        stream = cover(year, person_id)

        def judge(loaded: Loaded) -> Accepted:
            resident = self._residents.of(loaded, person_id)
            if resident is None:
                return Accepted()
            booked = self._bookings.of(loaded, Insurance.MEDICAL, person_id, year)
            years: YearPolicies = loaded.fact(self._policies, year)
            events = domain.review_cover(
                loaded.state(stream),
                year,
                resident,
                self._enrolments.of(loaded, Insurance.MEDICAL, person_id, year),
                booked,
                years.of(booked.village if booked is not None else resident.division),
            )
            return Accepted([Append(stream, events)] if events else [])

        streams: list[Stream[Any]] = [
            stream,
            self._bookings.stream(year, person_id),
            *self._residents.streams(person_id),
            self._enrolments.stream(Insurance.MEDICAL, person_id),
        ]
        return Command("review_cover", streams, judge, metadata, key, [(self._policies, [year])])


def note_government_command(
    person_id: str,
    year: int,
    campaign: str,
    version: int,
    government_fen: int,
    standard_fen: int,
    metadata: Metadata,
    key: IdempotencyKey,
) -> Command:
    """Keep what government carries of the standard."""
    stream = cover(year, person_id)

    def judge(loaded: Loaded) -> Accepted:
        events = domain.note_government_legs(
            loaded.state(stream), person_id, year, campaign, version, government_fen, standard_fen
        )
        return Accepted([Append(stream, events)] if events else [])

    return Command("note_government_legs", [stream], judge, metadata, key)
