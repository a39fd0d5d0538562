"""What settlement tells the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.collection.settlement import events as s
from shared.contracts.collection import (
    DailySettlementConfirmedV1,
    DailySettlementDiscrepancyDetectedV1,
    DailySettlementDiscrepancyResolvedV1,
    SettlementOverdueV1,
)
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class SettlementPublication:
    """Confirmed, discrepancies and overdue cash."""

    name = "settlement"
    handles: tuple[type[Event], ...] = (
        s.DailySettlementConfirmed,
        s.DailySettlementDiscrepancyDetected,
        s.DailySettlementDiscrepancyResolved,
        s.SettlementOverdue,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        place = {
            "village": event.village,
            "campaign": event.campaign,
            "source": event.source,
            "date": event.date,
            "insurance": event.insurance,
        }
        match event:
            case s.DailySettlementConfirmed():
                return [DailySettlementConfirmedV1(**place, count=event.count, fen=event.fen)]
            case s.DailySettlementDiscrepancyDetected():
                return [
                    DailySettlementDiscrepancyDetectedV1(
                        **place,
                        expected_fen=event.expected_fen,
                        actual_fen=event.actual_fen,
                        diff_fen=event.diff_fen,
                    )
                ]
            case s.DailySettlementDiscrepancyResolved():
                return [DailySettlementDiscrepancyResolvedV1(**place, resolution=event.resolution)]
            case s.SettlementOverdue():
                return [SettlementOverdueV1(**place, days=event.days, fen=event.fen)]
            case _:
                return []
