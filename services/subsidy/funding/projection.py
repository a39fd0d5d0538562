"""Read models of funds, submitted legs and refund approvals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.subsidy.funding import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()


def _fen(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


fund_table = sa.Table(
    "subsidy_fund",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("department", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(24), primary_key=True),
    _fen("persons"),
    _fen("applied_fen"),
    _fen("appropriated_fen"),
    _fen("transferred_fen"),
    _fen("submitted_fen"),
)

leg_table = sa.Table(
    "government_leg",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("person_id", sa.String(32), primary_key=True),
    sa.Column("payment_no", sa.String(120), nullable=False, index=True),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("submitted", sa.Boolean, nullable=False, comment="false: it came back and is open again"),
    sa.Column("returned", sa.Integer, nullable=False, server_default=sa.text("0")),
)

approval_table = sa.Table(
    "refund_approval",
    metadata,
    sa.Column("refund_no", sa.String(200), primary_key=True),
    sa.Column("campaign", sa.String(20), nullable=False),
    sa.Column("insurance", sa.String(10), nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Index("refund_approval_by_state", "state", "refund_no"),
)

_MOVED = {
    e.SubsidyFundAppropriated: "appropriated_fen",
    e.SubsidyFundTransferred: "transferred_fen",
}


class FundProjection:
    """Funds and what was done with them."""

    name = "funds"
    tables: Sequence[sa.Table] = (fund_table, leg_table, approval_table)
    handles: tuple[type[msgspec.Struct], ...] = e.EVENTS

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order; money moves add up."""
        for recorded in events:
            await self._apply(connection, recorded.event)

    async def _apply(self, connection: Connection, event: Any) -> None:
        match event:
            case e.SubsidyFundApplied():
                row = {**_key(event), "persons": event.persons, "applied_fen": event.fen}
                await connection.upsert(fund_table, [row])
            case e.SubsidyFundAppropriated() | e.SubsidyFundTransferred():
                column = _MOVED[type(event)]
                await connection.upsert(fund_table, [{**_key(event), column: event.fen}], add=(column,))
            case e.GovernmentPaymentSubmitted():
                fen = sum(line.fen for line in event.lines)
                row = {
                    "campaign": event.campaign,
                    "department": event.department,
                    "kind": "PERSONAL_PART",
                    "submitted_fen": fen,
                }
                await connection.upsert(fund_table, [row], add=("submitted_fen",))
                await connection.upsert(leg_table, _legs(event))
            case e.GovernmentLegReturned():
                await self._returned(connection, event)
            case e.RefundApprovalRequested():
                await connection.upsert(approval_table, [_approval(event)], ignore=True)
            case e.RefundApproved():
                await connection.execute(
                    sa.update(approval_table)
                    .where(approval_table.c.refund_no == event.refund_no)
                    .values(state="APPROVED")
                )

    async def _returned(self, connection: Connection, event: e.GovernmentLegReturned) -> None:
        row = {**_key(event), "submitted_fen": -event.fen}
        await connection.upsert(fund_table, [row], add=("submitted_fen",))
        if event.reopened:
            table = leg_table.c
            await connection.execute(
                sa.update(leg_table)
                .where(
                    table.year == event.year,
                    table.insurance == event.insurance.value,
                    table.person_id == event.person_id,
                )
                .values(submitted=False, returned=table.returned + 1)
            )


def _key(
    event: e.SubsidyFundApplied
    | e.SubsidyFundAppropriated
    | e.SubsidyFundTransferred
    | e.GovernmentLegReturned,
) -> dict[str, Any]:
    return {"campaign": event.campaign, "department": event.department, "kind": event.kind}


def _legs(event: e.GovernmentPaymentSubmitted) -> list[dict[str, Any]]:
    return [
        {
            "year": event.year,
            "insurance": event.insurance.value,
            "person_id": line.person_id,
            "payment_no": event.payment_no,
            "fen": line.fen,
            "submitted": True,
        }
        for line in event.lines
    ]


def _approval(event: e.RefundApprovalRequested) -> dict[str, Any]:
    return {
        "refund_no": event.refund_no,
        "campaign": event.campaign,
        "insurance": event.insurance.value,
        "year": event.year,
        "fen": event.fen,
        "state": "PENDING",
    }
