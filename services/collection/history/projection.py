"""The read model ``payment_history``: what files told; what was booked here is read where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.history.events import PaymentHistoryRecorded
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

PAYMENT_HISTORY = sa.Table(
    "payment_history",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("paid_fen", sa.BigInteger, nullable=False),
)


class HistoryProjection:
    """A page of lists is one upsert."""

    name = "payment-history"
    tables: Sequence[sa.Table] = (PAYMENT_HISTORY,)
    handles: tuple[type[msgspec.Struct], ...] = (PaymentHistoryRecorded,)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """The same line again has the same values."""
        rows: dict[tuple[int, str, str, str], dict[str, Any]] = {}
        for recorded in events:
            event: PaymentHistoryRecorded = recorded.event
            for line in event.lines:
                key = (event.year, event.village, line.insurance.value, line.person_id)
                rows[key] = {
                    "year": event.year,
                    "village": event.village,
                    "insurance": line.insurance.value,
                    "person_id": line.person_id,
                    "paid_fen": line.paid_fen,
                }
        await connection.upsert(PAYMENT_HISTORY, rows.values())
