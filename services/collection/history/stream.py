"""Where history lives: a person's own rows, or a village's rows handed in together."""

from __future__ import annotations

from services.collection.history.domain import History, evolve
from shared.eventstore.streams import Category, Stream

HISTORY = Category("payment-history", History(), evolve)


def history_stream(year: int, holder: str) -> Stream[History]:
    """``payment-history:{year}:{holder}``; holder: a person id or a village code."""
    return HISTORY.stream(year, holder, era=year)
