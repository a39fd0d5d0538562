"""Read model of what may be entered: deposits and documents as collection told them, leg by leg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.data_entry.events import EnrolmentEntered
from shared.contracts.collection import FundAccountDepositedV1, PaymentDocumentDrawnV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

ENTRY_LINE = sa.Table(
    "entry_line",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("payer", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False, server_default=""),
    sa.Column("village", sa.Text, nullable=False, server_default=""),
    sa.Column("fen", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("deposit_no", sa.Text, nullable=False, server_default=""),
    sa.Column("document_no", sa.Text, nullable=False, server_default=""),
    sa.Column("entered_on", sa.Date, nullable=True),
    sa.Index("entry_line_by_document", "document_no"),
)


class EntryLines:
    """Each kind fills its own columns, so that messages of different topics may come in any order."""

    name = "entry-lines"
    tables: Sequence[sa.Table] = (ENTRY_LINE,)
    handles: tuple[type[msgspec.Struct], ...] = (
        FundAccountDepositedV1,
        PaymentDocumentDrawnV1,
        EnrolmentEntered,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """A part's legs in one upsert; entries of a page in one."""
        entered: list[dict[str, Any]] = []
        for recorded in events:
            event = recorded.event
            if isinstance(event, EnrolmentEntered):
                entered.append(_key(event, event) | {"entered_on": event.entered_on})
            elif isinstance(event, FundAccountDepositedV1):
                rows = [
                    _key(event, leg)
                    | {"campaign": event.campaign, "fen": leg.fen, "deposit_no": event.deposit_no}
                    for leg in event.legs
                ]
                await connection.upsert(ENTRY_LINE, rows)
            else:
                rows = [
                    _key(event, leg)
                    | {
                        "campaign": event.campaign,
                        "village": leg.village,
                        "fen": leg.fen,
                        "document_no": event.voucher_no,
                    }
                    for leg in event.legs
                ]
                await connection.upsert(ENTRY_LINE, rows)
        if entered:
            await connection.upsert(ENTRY_LINE, entered)


def _key(event: Any, leg: Any) -> dict[str, Any]:
    return {
        "year": event.year,
        "insurance": event.insurance.value,
        "person_id": leg.person_id,
        "payer": leg.payer,
    }
