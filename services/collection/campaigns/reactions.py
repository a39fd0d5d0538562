"""Business days to phases (阶段转换)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.campaigns.events import CampaignOpened
from services.collection.campaigns.handlers import Campaigns
from services.collection.campaigns.queries import open_campaigns
from services.collection.obligations.following import follow
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, derived_key
from shared.kernel.events import DayBegun


class CampaignDays:
    """A day begun, or a campaign opened in the middle of one, to the campaign's phase."""

    name = "campaign-days"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun, CampaignOpened)

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event = recorded.event
        if isinstance(event, CampaignOpened):
            campaigns: Sequence[str] = [event.campaign]
            day = recorded.recorded_at.date()
        else:
            campaigns = await open_campaigns(connection)
            day = event.day
        return [
            self._campaigns.begin_day_command(
                campaign,
                day,
                follow(recorded, self.name, campaign),
                derived_key(recorded, "begin_campaign_day", campaign),
            )
            for campaign in campaigns
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return "days"
