"""Where a person's identity lives."""

from __future__ import annotations

from services.registration.people.domain import Person, evolve
from shared.eventstore.streams import Category, Stream

PERSON = Category("person", Person(), evolve)


def person(person_id: str) -> Stream[Person]:
    """``person:{id}``, perennial."""
    return PERSON.stream(person_id)
