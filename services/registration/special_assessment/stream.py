"""Where special assessments live: beside the enrolment they belong to."""

from __future__ import annotations

from functools import lru_cache

from services.registration.special_assessment.domain import SpecialAssessed, evolve
from shared.eventstore.streams import RECENT, Category, Stream
from shared.kernel.insurance import Insurance

ASSESSED = Category("enrolment", SpecialAssessed(), evolve)


@lru_cache(maxsize=RECENT)
def assessed(insurance: Insurance, person_id: str) -> Stream[SpecialAssessed]:
    """``enrolment:{insurance}:{person}``."""
    return ASSESSED.stream(insurance.value, person_id)
