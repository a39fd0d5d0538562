"""Where reminders live."""

from __future__ import annotations

from services.notification.reminders.domain import Reminded, evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.insurance import Insurance

BIRTHDAY_HOLD: Category[Reminded] = Category("process:birthday-hold", frozenset(), evolve)


def birthday_hold(year: int, insurance: Insurance, person_id: str) -> Stream[Reminded]:
    """``process:birthday-hold:{year}:{insurance}:{person}``."""
    return BIRTHDAY_HOLD.stream(year, insurance.value, person_id, era=year)
