"""Where index entries are recorded."""

from __future__ import annotations

from services.subsidy.identities.domain import evolve
from shared.eventstore.streams import Category, Stream

INDEX: Category[int] = Category("process:identity-index", 0, evolve)


def identity_index(person_id: str) -> Stream[int]:
    """``process:identity-index:{person}``, perennial."""
    return INDEX.stream(person_id)
