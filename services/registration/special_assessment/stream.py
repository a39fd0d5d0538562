"""Where special assessments live: beside the enrolment they belong to."""

from __future__ import annotations

from services.registration.special_assessment.domain import SpecialAssessed, evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.insurance import Insurance

ASSESSED = Category("enrolment", SpecialAssessed(), evolve)


def assessed(insurance: Insurance, person_id: str) -> Stream[SpecialAssessed]:
    """``enrolment:{insurance}:{person}``."""
    return ASSESSED.stream(insurance.value, person_id)
