"""Read model of receipt books."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.receipt_books import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

receipt_book = sa.Table(
    "receipt_book",
    metadata,
    sa.Column("book_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("first", sa.Text, nullable=False),
    sa.Column("last", sa.Text, nullable=False),
    sa.Column("returned", sa.Boolean, nullable=False),
    sa.Column("issued", sa.BigInteger, nullable=False),
    sa.Column("voided", sa.BigInteger, nullable=False),
    sa.Column("unused", sa.BigInteger, nullable=False),
    sa.Index("receipt_book_by_village", "campaign", "village"),
)


class ReceiptBooks:
    """One row a book; books are few."""

    name = "receipt-books"
    tables: Sequence[sa.Table] = (receipt_book,)
    handles: tuple[type[msgspec.Struct], ...] = (e.ReceiptBookHandedOut, e.UnusedReceiptsReturned)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order."""
        for recorded in events:
            event = recorded.event
            if isinstance(event, e.ReceiptBookHandedOut):
                row = msgspec.structs.asdict(event)
                nothing = {"returned": False, "issued": 0, "voided": 0, "unused": 0}
                await connection.upsert(receipt_book, [row | nothing])
                continue
            await connection.execute(
                sa.update(receipt_book)
                .where(receipt_book.c.book_no == event.book_no)
                .values(returned=True, issued=event.issued, voided=event.voided, unused=event.unused)
            )
