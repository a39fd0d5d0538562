"""The pack of a campaign: the very version collection bound it to."""

from __future__ import annotations

import sqlalchemy as sa

from services.subsidy.policies.projection import campaign_pack_table
from shared.eventstore.database import Connection
from shared.kernel.errors import Refusal
from shared.policy import Pack
from shared.policy.registry import PackRegistry

CAMPAIGN_UNKNOWN = Refusal("CAMPAIGN_UNKNOWN", field="campaign", message="没有此征缴 / no such campaign")
PACK_MISMATCH = Refusal(
    "PACK_MISMATCH",
    field="campaign",
    message="政策包与征缴工作所用不同 / another pack than the campaign's",
)


class CampaignPacks:
    """Packs by campaign. Before a campaign is opened, the plan of that region and year speaks (lists come early)."""

    def __init__(self, packs: PackRegistry) -> None:
        self._packs = packs

    async def of(self, connection: Connection, campaign: str) -> Pack | Refusal:
        """The pack, CAMPAIGN_UNKNOWN, or PACK_MISMATCH while this service does not hold the campaign's own."""
        table = campaign_pack_table.c
        rows = await connection.execute(sa.select(campaign_pack_table).where(table.campaign == campaign))
        if not rows:
            return self._packs.of_campaign(campaign) or CAMPAIGN_UNKNOWN
        bound = rows[0]
        return self._packs.exactly(bound.pack_id, bound.pack_version, bound.pack_digest) or PACK_MISMATCH
