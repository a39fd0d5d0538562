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
        """One upsert per group of columns: each is filled by its own kinds of event, in their order."""
        found: dict[str, list[dict[str, Any]]] = {}
        for recorded in events:
            columns, rows = _rows(recorded.event)
            found.setdefault(columns, []).extend(rows)
        for columns, rows in found.items():
            await connection.upsert(
                settlement_day, rows, add=_ADDED.get(columns, ()), keep=_KEPT.get(columns, ())
            )


SUMMARY, OUTSIDE, CONFIRMED, OPEN, OVERDUE = "summary", "outside", "confirmed", "open", "overdue"
_ADDED = {OUTSIDE: ("outside_fen",), CONFIRMED: ("confirmed_count", "confirmed_fen")}
_KEPT = {CONFIRMED: ("kind",)}


def _rows(event: Any) -> tuple[str, list[dict[str, Any]]]:
    """Which columns an event fills, and the rows that do."""
    match event:
        case s.AgentDailySummarySubmitted():
            return SUMMARY, [
                _key(event, total.insurance, source=event.agent_id)
                | {"kind": "AGENT", "summary_count": total.count, "summary_fen": total.fen}
                for total in event.totals
            ]
        case s.ChannelDayFileReceived():
            return OUTSIDE, [
                _key(event, each.insurance, source=event.channel)
                | {"kind": "CHANNEL", "outside_fen": each.fen}
                for each in event.sums
            ]
    columns, filled = _filled(event)
    return columns, [_key(event, event.insurance) | filled]


def _filled(event: Any) -> tuple[str, dict[str, Any]]:
    match event:
        case s.DailySettlementDeposited():
            return OUTSIDE, {"kind": "AGENT", "outside_fen": event.fen}
        case s.SettlementCorrected():
            sign = 1 if event.resolution == "CORRECTIVE_DEPOSIT" else -1
            return OUTSIDE, {"kind": "AGENT", "outside_fen": sign * event.fen}
        case s.DailySettlementConfirmed():
            row = {"kind": event.kind, "confirmed_count": event.count, "confirmed_fen": event.fen}
            return CONFIRMED, row
        case s.DailySettlementDiscrepancyDetected():
            return OPEN, {"kind": event.kind, "open_reason": event.reason, "open_diff_fen": event.diff_fen}
        case s.DailySettlementDiscrepancyResolved():
            return OPEN, {"kind": event.kind, "open_reason": "", "open_diff_fen": 0}
        case _:
            return OVERDUE, {"kind": "AGENT", "overdue_days": event.days}
