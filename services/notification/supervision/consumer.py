"""Stream rules over collection's settlement facts (I-22) and refunds (I-28)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from services.notification.supervision import domain, handlers
from shared.contracts.collection import (
    DailySettlementDiscrepancyDetectedV1,
    RefundPaidAfterCancellationV1,
    SettlementOverdueV1,
)
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
        return [_flag(recorded, rule, message.source, message.date, fen)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A village's facts stay in order."""
        return str(recorded.event.village)


class WatchRefunds:
    """无据退付: a recovery that opens is a case of its village and day."""

    name = "supervision.refunds"
    handles: tuple[type[msgspec.Struct], ...] = (RefundPaidAfterCancellationV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """The refund is the subject; the day is the payout's."""
        message = recorded.event
        return [_flag(recorded, domain.PAID_IN_VAIN, message.refund_no, message.paid_on, message.fen)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A village's facts stay in order."""
        return str(recorded.event.village)


def _flag(recorded: Recorded[Any], rule: str, subject: str, date: dt.date, fen: int) -> Command:
    message = recorded.event
    flag = domain.Flag(
        rule,
        subject,
        message.campaign,
        message.village,
        message.insurance,
        date,
        fen,
        (recorded.metadata.causation or recorded.event_id,),
    )
    caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
    return handlers.flag(flag, recorded.occurred_at.date(), caused)
