"""Campaigns, wired."""

from __future__ import annotations

from services.collection.campaigns.api import router
from services.collection.campaigns.handlers import Campaigns
from services.collection.campaigns.projection import CampaignProjection, RevisionDifferences
from services.collection.campaigns.publication import CampaignPublication
from services.collection.campaigns.reactions import CampaignDays
from shared.policy.registry import PackRegistry
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, packs: PackRegistry) -> Capability:
    """Campaigns over the service's ports and the packs this process holds."""
    campaigns = Campaigns(ports.store, packs)
    return Capability(
        projections=[CampaignProjection(), RevisionDifferences()],
        reactions=[CampaignDays(campaigns)],
        publications=[CampaignPublication()],
        routers=[router(campaigns, ports.database, packs)],
    )
