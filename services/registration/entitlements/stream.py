"""Where medical cover lives."""

from __future__ import annotations

from functools import lru_cache

from services.registration.entitlements.domain import CoverState, evolve
from shared.eventstore.streams import RECENT, Category, Stream

COVER = Category("cover", CoverState(), evolve)


@lru_cache(maxsize=RECENT)
def cover(year: int, person_id: str) -> Stream[CoverState]:
    """``cover:{year}:{person}``, in the era of its year."""
    return COVER.stream(year, person_id, era=year)
