"""Treasury entry to the stamp (加盖印章): when the last voucher of a village has arrived (D-10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.obligations.following import follow
from services.collection.roster.domain import Place
from services.collection.roster.handlers import Rosters
from services.collection.treasury.events import TreasuryEntryConfirmed
from shared.eventstore.commands import Command, FactSource
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, derived_key


class StampWhenInTreasury:
    """Tax's system stamps the paid roster; before the last voucher there is nothing to do."""

    name = "stamp-when-in-treasury"
    handles: tuple[type[msgspec.Struct], ...] = (TreasuryEntryConfirmed,)

    def __init__(self, rosters: Rosters, vouchers: FactSource) -> None:
        self._rosters = rosters
        self._vouchers = vouchers

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event: TreasuryEntryConfirmed = recorded.event
        if event.source != "DECLARATION":
            return []
        place = (event.campaign, event.village)
        found = (await self._vouchers.load(connection, [place])).get(place)
        if found is None or not found.all_in_treasury:
            return []
        about = follow(recorded, self.name, event.campaign)
        key = derived_key(recorded, "stamp_roster")
        return [self._rosters.stamp_command(Place(*place), "tax-system", about, key)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.village)
