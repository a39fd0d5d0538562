"""Rosters, wired."""

from __future__ import annotations

from dataclasses import dataclass

from services.collection.roster.api import router
from services.collection.roster.consumer import NoteNotices
from services.collection.roster.handlers import Rosters
from services.collection.roster.projection import RosterProjection
from services.collection.roster.publication import RosterPublication
from services.collection.roster.queries import (
    AssessedInVillage,
    PaidInVillage,
    PaidTotals,
    PayersOfYear,
    RosterCandidates,
)
from services.collection.roster.reactions import StampWhenInTreasury
from shared.eventstore.commands import FactSource
from shared.web.capability import Capability
from shared.web.service import Ports


@dataclass(frozen=True, slots=True)
class RosterSources:
    """What rosters ask of their siblings."""

    campaign_facts: FactSource
    death_facts: FactSource
    voucher_facts: FactSource
    assessed_in_village: AssessedInVillage
    payers_of_year: PayersOfYear
    paid_in_village: PaidInVillage


def capability(ports: Ports, sources: RosterSources) -> Capability:
    """Rosters over the service's ports and their siblings' facts."""
    candidates = RosterCandidates(sources.assessed_in_village, sources.payers_of_year, sources.death_facts)
    rosters = Rosters(
        ports.store,
        sources.campaign_facts,
        candidates,
        PaidTotals(sources.paid_in_village),
        sources.voucher_facts,
    )
    return Capability(
        projections=[RosterProjection()],
        reactions=[NoteNotices(rosters), StampWhenInTreasury(rosters, sources.voucher_facts)],
        publications=[RosterPublication()],
        routers=[router(rosters, ports)],
    )
