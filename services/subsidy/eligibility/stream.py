"""Where entitlements live."""

from __future__ import annotations

from services.subsidy.eligibility.domain import Entitlement, evolve
from services.subsidy.eligibility.events import VillageEntitlementsDue
from shared.eventstore.streams import Category, Stream
from shared.kernel.insurance import Insurance

ENTITLEMENT = Category("subsidy-entitlement", Entitlement(), evolve)


def _count(count: int, event: object) -> int:
    return count + isinstance(event, VillageEntitlementsDue)


PROCESS: Category[int] = Category("process", 0, _count)


def entitlement(year: int, insurance: Insurance, person_id: str) -> Stream[Entitlement]:
    """``subsidy-entitlement:{year}:{insurance}:{person}`` in the era of its year."""
    return ENTITLEMENT.stream(year, insurance.value, person_id, era=year)


def village_process(campaign: str, village: str, pack_version: int) -> Stream[int]:
    """``process:entitlements:{campaign}:{village}:{version}``: a village is due once per revision."""
    return PROCESS.stream("entitlements", campaign, village, pack_version)
