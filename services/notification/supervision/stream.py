"""Where cases live."""

from __future__ import annotations

from services.notification.supervision.domain import Case, evolve
from shared.eventstore.streams import Category, Stream

CASE = Category("case", Case(), evolve)


def case(case_id: str, year: int) -> Stream[Case]:
    """``case:{id}`` in the era of its campaign's year."""
    return CASE.stream(case_id, era=year)
