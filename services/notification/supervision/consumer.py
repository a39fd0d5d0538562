"""Stream rules over collection's settlement facts (I-22)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.notification.supervision import domain, handlers
from shared.contracts.collection import DailySettlementDiscrepancyDetectedV1, SettlementOverdueV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait


class WatchSettlements:
    """滞留、垫资、短款."""

    name = "supervision.settlements"
    handles: tuple[type[msgspec.Struct], ...] = (SettlementOverdueV1, DailySettlementDiscrepancyDetectedV1)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One flag per fact; a discrepancy of nothing flags nothing."""
        message = recorded.event
        match message:
            case SettlementOverdueV1():
                rule, fen = domain.RETENTION, message.fen
            case _ if message.diff_fen > 0:
                rule, fen = domain.ADVANCE, message.diff_fen
            case _ if message.diff_fen < 0:
                rule, fen = domain.SHORTFALL, -message.diff_fen
            case _:
                return []
        command = domain.Flag(
            rule,
            message.source,
            message.campaign,
            message.village,
            message.insurance,
            message.date,
            fen,
            (recorded.metadata.causation or recorded.event_id,),
        )
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
        return [handlers.flag(command, recorded.occurred_at.date(), caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A village's facts stay in order."""
        return str(recorded.event.village)
