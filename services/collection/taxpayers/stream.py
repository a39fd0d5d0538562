"""Where taxpayers live."""

from __future__ import annotations

from services.collection.taxpayers.domain import Taxpayer, evolve
from shared.eventstore.streams import Category, Stream

TAXPAYER = Category("taxpayer", Taxpayer(), evolve)


def taxpayer_stream(person_id: str) -> Stream[Taxpayer]:
    """``taxpayer:{person}``."""
    return TAXPAYER.stream(person_id)
