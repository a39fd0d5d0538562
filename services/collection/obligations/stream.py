"""Where obligations live."""

from __future__ import annotations

from services.collection.obligations.domain import Obligation, evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.insurance import Insurance

OBLIGATION = Category("obligation", Obligation(), evolve)


def obligation(year: int, insurance: Insurance, person_id: str) -> Stream[Obligation]:
    """``obligation:{year}:{insurance}:{person}``, in the era of its year."""
    return OBLIGATION.stream(year, insurance, person_id, era=year)


def owner_of(stream: str) -> tuple[int, str, str]:
    """(year, insurance, person) of an obligation's stream."""
    _, year, insurance, person_id = stream.split(":", 3)
    return int(year), insurance, person_id
