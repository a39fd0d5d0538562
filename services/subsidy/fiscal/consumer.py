"""Booked heads, as registration counts them, to claims (D-45)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.subsidy.fiscal import handlers
from services.subsidy.fiscal.domain import SubsidyKey
from shared.contracts.registration import FiscalHeadsCountedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait


class ClaimFiscalSubsidies:
    """财政补助人数核报 → 申请."""

    name = "fiscal.claims"
    handles: tuple[type[msgspec.Struct], ...] = (FiscalHeadsCountedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One claim per count and kind."""
        message: FiscalHeadsCountedV1 = recorded.event
        key = SubsidyKey(message.campaign, message.year, message.kind)
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
        return [handlers.claim(key, message.heads, message.fen, message.as_of, caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A campaign's counts stay in order."""
        return str(recorded.event.campaign)
