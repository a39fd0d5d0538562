"""Where packs and campaigns live."""

from __future__ import annotations

from services.collection.campaigns.domain import CampaignState, PackState, evolve_campaign, evolve_pack
from shared.eventstore.streams import Category, Stream
from shared.kernel.division import parse_campaign

PACK = Category("pack", PackState(), evolve_pack)
CAMPAIGN = Category("campaign", CampaignState(), evolve_campaign)


def pack_stream(pack_id: str) -> Stream[PackState]:
    """``pack:{id}``."""
    return PACK.stream(pack_id)


def campaign_stream(campaign: str) -> Stream[CampaignState]:
    """``campaign:{campaign}``, in the era of its year (0 for an id that is none)."""
    try:
        _, year = parse_campaign(campaign)
    except ValueError:
        year = 0
    return CAMPAIGN.stream(campaign, era=year)
