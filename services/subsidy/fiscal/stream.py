"""Where couples and fiscal subsidies live."""

from __future__ import annotations

from services.subsidy.fiscal.domain import Couple, Subsidy, SubsidyKey, evolve, evolve_couple
from shared.eventstore.streams import Category, Stream

COUPLE = Category("family-planning", Couple(), evolve_couple)
SUBSIDY = Category("fiscal-subsidy", Subsidy(), evolve)


def couple(year: int, wife_id: str) -> Stream[Couple]:
    """``family-planning:{year}:{wife}``."""
    return COUPLE.stream(year, wife_id, era=year)


def subsidy(key: SubsidyKey) -> Stream[Subsidy]:
    """``fiscal-subsidy:{campaign}:{kind}``."""
    return SUBSIDY.stream(key.campaign, key.kind, era=key.year)
