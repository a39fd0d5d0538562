"""Where rosters live."""

from __future__ import annotations

from services.collection.roster.state import Roster, evolve
from shared.eventstore.streams import Category, Stream

ROSTER = Category("roster", Roster(), evolve)


def roster_stream(campaign: str, village: str) -> Stream[Roster]:
    """``roster:{campaign}:{village}``, in the era of the campaign's year."""
    year = campaign.rpartition("-")[2]
    return ROSTER.stream(campaign, village, era=int(year) if year.isascii() and year.isdigit() else 0)
