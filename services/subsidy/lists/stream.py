"""Where lists live."""

from __future__ import annotations

from services.subsidy.lists.domain import SubsidyList, evolve
from shared.eventstore.streams import Category, Stream

LIST = Category("list", SubsidyList(), evolve)


def subsidy_list(list_id: str, year: int) -> Stream[SubsidyList]:
    """``list:{id}`` in the era of its year."""
    return LIST.stream(list_id, era=year)
