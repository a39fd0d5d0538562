"""Read models of payments: every line of money taken with its standing, receipts, and campaigns by year."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.campaigns.events import CampaignOpened
from services.collection.obligations import events as e
from services.collection.payments import events as p
from shared.eventstore.columns import Moment
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI

metadata = sa.MetaData()

payment_line = sa.Table(
    "payment_line",
    metadata,
    sa.Column("line_id", sa.Text, primary_key=True),
    sa.Column("payment_id", sa.Text, nullable=False),
    sa.Column("order_no", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),  # "" while unidentified
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("paid_at", Moment, nullable=False),
    sa.Column("paid_on", sa.Date, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("receipt", sa.Text, nullable=False),
    sa.Column("standing", sa.Text, nullable=False),
    sa.Column("standard_fen", sa.BigInteger, nullable=False),
    sa.Column("tier_yuan", sa.Integer, nullable=True),
    sa.Column("special_assessment_no", sa.Text, nullable=False),
    sa.Index("payment_line_by_payment", "payment_id"),
    sa.Index("payment_line_by_agent_day", "campaign", "village", "agent_id", "paid_on"),
    sa.Index("payment_line_by_channel_day", "campaign", "channel", "paid_on"),
    sa.Index("payment_line_by_person", "person_id"),
)

payment_receipt = sa.Table(
    "payment_receipt",
    metadata,
    sa.Column("book_no", sa.Text, primary_key=True),
    sa.Column("serial_no", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("payment_id", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
)

payment_campaign = sa.Table(
    "payment_campaign",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, nullable=False),
)

_LINES = (
    e.PaymentReceived,
    e.DuplicatePaymentDetected,
    e.PostDeathPaymentDetected,
    e.MisfitPaymentDetected,
    p.UnidentifiedMoneyRecorded,
)


def standing_of(event: Any) -> str:
    """Standing that an event gives its line."""
    match event:
        case e.PaymentReceived() | e.PostDeathFindingWithdrawn():
            return "EFFECTIVE"
        case e.DuplicatePaymentDetected():
            return "DUPLICATE"
        case e.PostDeathPaymentDetected():
            return "AFTER_DEATH"
        case e.MisfitPaymentDetected():
            return str(event.kind)
        case e.PaymentRefunded():
            return "REFUNDED"
        case _:
            return "UNIDENTIFIED"


def line_row(event: Any) -> dict[str, Any]:
    """Row of an event that brings a line."""
    return {
        "line_id": event.line_id,
        "payment_id": event.payment_id,
        "order_no": event.order_no,
        "channel": event.channel,
        "person_id": getattr(event, "person_id", ""),
        "insurance": str(event.insurance),
        "year": event.year,
        "campaign": event.campaign,
        "village": event.village,
        "fen": event.fen,
        "paid_at": event.paid_at,
        "paid_on": event.paid_at.astimezone(SHANGHAI).date(),
        "agent_id": event.agent_id,
        "receipt": getattr(event, "receipt_serial", ""),
        "standing": standing_of(event),
        "standard_fen": getattr(event, "standard_fen", 0),
        "tier_yuan": getattr(event, "tier_yuan", None),
        "special_assessment_no": getattr(event, "special_assessment_no", ""),
    }


_TERMS = ("standard_fen", "tier_yuan", "special_assessment_no")


class PaymentLines:
    """Keeps ``payment_line``, ``payment_receipt`` and ``payment_campaign``."""

    name = "payment-lines"
    tables: Sequence[sa.Table] = (payment_line, payment_receipt, payment_campaign)
    handles: tuple[type[msgspec.Struct], ...] = (
        *_LINES,
        e.PostDeathFindingWithdrawn,
        e.PaymentRefunded,
        p.ReceiptIssued,
        p.ReceiptVoided,
        CampaignOpened,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """New lines go in bulk; what changes a line is applied in order behind them."""
        waiting: list[dict[str, Any]] = []
        for recorded in events:
            event = recorded.event
            if isinstance(event, e.PostDeathPaymentDetected) and event.was_effective:
                await self._flush(connection, waiting)
                await self._restand(connection, event)
            elif isinstance(event, _LINES):
                waiting.append(line_row(event))
            else:
                await self._flush(connection, waiting)
                await self._other(connection, event)
        await self._flush(connection, waiting)

    async def _flush(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        if rows:
            await connection.upsert(payment_line, rows)
            rows.clear()

    async def _restand(self, connection: Connection, event: Any) -> None:
        await connection.execute(
            sa.update(payment_line)
            .where(payment_line.c.line_id == event.line_id)
            .values(standing=standing_of(event))
        )

    async def _other(self, connection: Connection, event: Any) -> None:
        match event:
            case e.PostDeathFindingWithdrawn() | e.PaymentRefunded():
                await self._restand(connection, event)
            case CampaignOpened():
                row = {"campaign": event.campaign, "year": event.year}
                await connection.upsert(payment_campaign, [row])
            case p.ReceiptIssued():
                await connection.upsert(payment_receipt, [_receipt_row(event, "ISSUED")])
            case p.ReceiptVoided():
                await connection.upsert(payment_receipt, [_receipt_row(event, "VOIDED")])


def _receipt_row(event: Any, status: str) -> dict[str, Any]:
    return {
        "book_no": event.book_no,
        "serial_no": event.serial_no,
        "status": status,
        "payment_id": getattr(event, "payment_id", ""),
        "agent_id": event.agent_id,
        "campaign": getattr(event, "campaign", ""),
        "fen": getattr(event, "fen", 0),
    }
