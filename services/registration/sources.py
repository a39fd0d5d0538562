"""How capabilities ask for one another's facts; ``directory.py`` answers from streams.

The answer comes from the same log in the same transaction as the command that asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from services.registration.facts import Assessed, Booked, Cover, Identities, Insured, Resident
from shared.eventstore.commands import Loaded
from shared.eventstore.streams import Stream
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class Residents(Protocol):
    """Residents as their streams stand in the command's transaction."""

    def streams(self, person_id: str) -> Sequence[Stream[Any]]:
        """Streams a command must declare to ask for the person."""
        ...

    def of(self, loaded: Loaded, person_id: str) -> Resident | None:
        """The person, or None when nobody was registered under the id."""
        ...


class Enrolments(Protocol):
    """Enrolments of a person for one insurance."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """The stream a command must declare."""
        ...

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Insured | None:
        """The year's enrolment, or None when there never was one."""
        ...


class SpecialAssessments(Protocol):
    """Special assessments of a person for one insurance."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """The stream a command must declare."""
        ...

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, number: str) -> Assessed | None:
        """The assessment of that number, or None."""
        ...


class SpecialIdentities(Protocol):
    """Imported special identities of a person for one insurance."""

    def stream(self, insurance: Insurance, person_id: str) -> Stream[Any]:
        """The stream a command must declare."""
        ...

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Identities:
        """Empty when no list named the person."""
        ...


class Bookings(Protocol):
    """Bookings of a person and year."""

    def stream(self, year: int, person_id: str) -> Stream[Any]:
        """The stream a command must declare."""
        ...

    def of(self, loaded: Loaded, insurance: Insurance, person_id: str, year: int) -> Booked | None:
        """None when nothing is booked."""
        ...


class CoverReviews(Protocol):
    """Medical cover reviewed in the very decision that books: nothing lies between the two."""

    def streams(self, year: int, person_id: str) -> Sequence[Stream[Any]]:
        """Streams a command must declare to have a year's cover reviewed."""
        ...

    def after_booking(
        self, loaded: Loaded, year: int, resident: Resident, enrolment: Insured | None, booked: Booked | None
    ) -> Sequence[Event]:
        """Events for ``cover:{year}:{person}`` once ``booked`` stands; needs the policies fact of the year.

        enrolment: of the medical insurance.
        """
        ...


class Covers(Protocol):
    """Medical cover of a person and year."""

    def stream(self, year: int, person_id: str) -> Stream[Any]:
        """The stream a command must declare."""
        ...

    def of(self, loaded: Loaded, year: int, person_id: str) -> Cover:
        """The cover as it stands."""
        ...
