"""Which way a campaign's money goes: into the treasury, or into the agency's fund accounts."""

from __future__ import annotations

from services.collection.obligations.facts import CampaignFact
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Connection


class MoneyFlows:
    """Answers from the campaign's pack; a plan's flow does not change, so an answer is kept."""

    def __init__(self, campaigns: FactSource) -> None:
        self._campaigns = campaigns
        self._known: dict[str, bool] = {}

    async def into_fund_accounts(self, connection: Connection, campaign: str) -> bool:
        """True when the campaign's plan pays into fund accounts; False while the campaign is unknown."""
        known = self._known.get(campaign)
        if known is not None:
            return known
        found: CampaignFact | None = (await self._campaigns.load(connection, [campaign])).get(campaign)
        if found is None or found.pack is None:
            return False
        self._known[campaign] = found.pack.pays_into_fund_accounts
        return self._known[campaign]
