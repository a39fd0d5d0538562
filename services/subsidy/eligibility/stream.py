"""Where entitlements live."""

from __future__ import annotations

from services.subsidy.eligibility.domain import Entitlement, evolve
from shared.eventstore.streams import Category, Stream
from shared.kernel.insurance import Insurance

ENTITLEMENT = Category("subsidy-entitlement", Entitlement(), evolve)


def entitlement(year: int, insurance: Insurance, person_id: str) -> Stream[Entitlement]:
    """``subsidy-entitlement:{year}:{insurance}:{person}`` in the era of its year."""
    return ENTITLEMENT.stream(year, insurance.value, person_id, era=year)
