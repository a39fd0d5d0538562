"""Taxpayers, wired."""

from __future__ import annotations

from services.collection.taxpayers.api import router
from services.collection.taxpayers.consumer import LinkRegistrations, NotePersonFacts
from services.collection.taxpayers.handlers import AssessLinked, DefaultCampaign, Taxpayers
from services.collection.taxpayers.projection import TaxpayerProjection
from services.collection.taxpayers.publication import TaxpayerPublication
from services.collection.taxpayers.queries import HouseholdScopes
from services.collection.taxpayers.reactions import LinkHouseholds
from shared.eventstore.commands import FactSource
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports, campaign_facts: FactSource, default_campaign: DefaultCampaign, assess: AssessLinked
) -> Capability:
    """Taxpayers; facts and ``default_campaign`` come from campaigns, ``assess`` from assessment."""
    taxpayers = Taxpayers(campaign_facts, HouseholdScopes(), default_campaign, assess, ports.clock.today)
    return Capability(
        projections=[TaxpayerProjection()],
        reactions=[LinkRegistrations(taxpayers), NotePersonFacts(taxpayers), LinkHouseholds(taxpayers)],
        publications=[TaxpayerPublication()],
        routers=[router(ports.database)],
    )
