"""Where a person's identity lives."""

from __future__ import annotations

from functools import lru_cache

from services.registration.people.domain import Person, evolve
from shared.eventstore.streams import RECENT, Category, Stream

PERSON = Category("person", Person(), evolve)


@lru_cache(maxsize=RECENT)
def person(person_id: str) -> Stream[Person]:
    """``person:{id}``, perennial."""
    return PERSON.stream(person_id)
