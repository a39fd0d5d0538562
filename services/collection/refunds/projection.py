"""Read model of refunds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.refunds import events as r
from shared.eventstore.columns import Moment
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

refund_table = sa.Table(
    "refund",
    metadata,
    sa.Column("refund_no", sa.Text, primary_key=True),
    sa.Column("payment_line_id", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("applicant", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("requested_at", Moment, nullable=False),
    sa.Column("paid_on", sa.Date, nullable=True),
    sa.Index("refund_by_state", "state", "refund_no"),
    sa.Index("refund_by_person", "person_id"),
)

_STATES: dict[type[msgspec.Struct], str] = {
    r.RefundAccepted: "ACCEPTED",
    r.RefundVerified: "VERIFIED",
    r.RefundApproved: "APPROVED",
    r.RefundPaid: "PAID",
    r.RefundSettled: "SETTLED",
    r.RefundRefused: "REFUSED",
    r.RefundCancelled: "CANCELLED",
    r.RefundPaidAfterCancellation: "RECOVERY_DUE",
    r.RefundRecovered: "RECOVERED",
}


class RefundStates:
    """Keeps ``refund``."""

    name = "refunds"
    tables: Sequence[sa.Table] = (refund_table,)
    handles: tuple[type[msgspec.Struct], ...] = (r.RefundRequested, *_STATES)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """One row per refund."""
        for recorded in events:
            event = recorded.event
            if isinstance(event, r.RefundRequested):
                await connection.upsert(refund_table, [_row(recorded)])
                continue
            values: dict[str, Any] = {"state": _STATES[type(event)]}
            if isinstance(event, r.RefundRefused):
                values["rule"] = event.rule
            if isinstance(event, r.RefundPaid | r.RefundPaidAfterCancellation):
                values["paid_on"] = event.paid_on
            await connection.execute(
                sa.update(refund_table).where(refund_table.c.refund_no == event.refund_no).values(**values)
            )


def _row(recorded: Recorded[Any]) -> dict[str, Any]:
    event = recorded.event
    return {
        "refund_no": event.refund_no,
        "payment_line_id": event.payment_line_id,
        "person_id": event.person_id,
        "insurance": event.insurance.value,
        "year": event.year,
        "campaign": event.campaign,
        "village": event.village,
        "fen": event.fen,
        "reason": event.reason,
        "applicant": event.applicant,
        "state": "REQUESTED",
        "rule": "",
        "requested_at": recorded.recorded_at,
        "paid_on": None,
    }
