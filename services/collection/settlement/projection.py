"""Read model of settlements: one row per day, source and insurance; village "" for a channel's day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.settlement import events as s
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

settlement_day = sa.Table(
    "settlement_day",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, server_default="AGENT"),
    sa.Column("summary_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("summary_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("outside_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("confirmed_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("confirmed_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("open_reason", sa.Text, nullable=False, server_default=""),
    sa.Column("open_diff_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("overdue_days", sa.Integer, nullable=False, server_default="0"),
    sa.Index("settlement_day_open", "campaign", "village", "open_reason"),
)


def _key(event: Any, insurance: Any, **own: Any) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "village": getattr(event, "village", ""),
        "source": own.get("source", getattr(event, "source", "")),
        "date": event.date,
        "insurance": insurance.value,
    }


class SettlementDays:
    """Keeps ``settlement_day``. outside_fen: what the bank's or the channel's books say."""

    name = "settlement-days"
    tables: Sequence[sa.Table] = (settlement_day,)
    handles: tuple[type[msgspec.Struct], ...] = (
        s.AgentDailySummarySubmitted,
        s.DailySettlementDeposited,
        s.SettlementCorrected,
        s.DailySettlementConfirmed,
        s.DailySettlementDiscrepancyDetected,
        s.DailySettlementDiscrepancyResolved,
        s.SettlementOverdue,
        s.ChannelDayFileReceived,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """One upsert per event: days are few."""
        for recorded in events:
            await self._apply(connection, recorded.event)

    async def _apply(self, connection: Connection, event: Any) -> None:
        match event:
            case s.AgentDailySummarySubmitted():
                rows = [
                    _key(event, total.insurance, source=event.agent_id)
                    | {"kind": "AGENT", "summary_count": total.count, "summary_fen": total.fen}
                    for total in event.totals
                ]
                await connection.upsert(settlement_day, rows)
            case s.DailySettlementDeposited():
                row = _key(event, event.insurance) | {"kind": "AGENT", "outside_fen": event.fen}
                await connection.upsert(settlement_day, [row], add=["outside_fen"])
            case s.SettlementCorrected():
                sign = 1 if event.resolution == "CORRECTIVE_DEPOSIT" else -1
                row = _key(event, event.insurance) | {"kind": "AGENT", "outside_fen": sign * event.fen}
                await connection.upsert(settlement_day, [row], add=["outside_fen"])
            case s.ChannelDayFileReceived():
                rows = [
                    _key(event, each.insurance, source=event.channel)
                    | {"kind": "CHANNEL", "outside_fen": each.fen}
                    for each in event.sums
                ]
                await connection.upsert(settlement_day, rows, add=["outside_fen"])
            case s.DailySettlementConfirmed():
                row = _key(event, event.insurance) | {"kind": event.kind}
                row |= {"confirmed_count": event.count, "confirmed_fen": event.fen}
                await connection.upsert(
                    settlement_day, [row], add=["confirmed_count", "confirmed_fen"], keep=["kind"]
                )
            case _:
                await self._state(connection, event)

    async def _state(self, connection: Connection, event: Any) -> None:
        row = _key(event, event.insurance)
        match event:
            case s.DailySettlementDiscrepancyDetected():
                row |= {"kind": event.kind, "open_reason": event.reason, "open_diff_fen": event.diff_fen}
            case s.DailySettlementDiscrepancyResolved():
                row |= {"kind": event.kind, "open_reason": "", "open_diff_fen": 0}
            case s.SettlementOverdue():
                row |= {"kind": "AGENT", "overdue_days": event.days}
        await connection.upsert(settlement_day, [row])
