"""Where entries live: beside the enrolment they complete."""

from __future__ import annotations

from services.registration.data_entry.domain import Entered, evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.insurance import Insurance

ENTERED = Category("enrolment", Entered(), evolve)


def entered(insurance: Insurance, person_id: str) -> Stream[Entered]:
    """``enrolment:{insurance}:{person}``."""
    return ENTERED.stream(insurance.value, person_id)
