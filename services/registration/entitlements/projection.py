"""Read models of cover: what is granted, and what is paid but grants nothing yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.accounts.events import BookkeepingPosted
from services.registration.entitlements import events as e
from shared.contracts.collection import PaymentReceivedV1, RefundPaidV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI

metadata = sa.MetaData()

ENTITLEMENT = sa.Table(
    "entitlement",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, nullable=False, comment="GRANTED, WITHDRAWN or UNDETERMINED"),
    sa.Column("from_date", sa.Date),
    sa.Column("to_date", sa.Date),
    sa.Column("rule", sa.Text, nullable=False),
)

PAID_LINE = sa.Table(
    "paid_line",
    metadata,
    sa.Column("line_id", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("insurance", sa.Text, nullable=False, server_default=""),
    sa.Column("year", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("fen", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("paid_on", sa.Date),
    sa.Column("booked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("refunded", sa.Boolean, nullable=False, server_default=sa.false()),
    postgresql_with={"fillfactor": "70"},  # the booking changes a row in its place
)


class EntitlementsProjection:
    """医保待遇 per person and year."""

    name = "entitlements"
    tables: Sequence[sa.Table] = (ENTITLEMENT,)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.MedicalEntitlementGranted,
        e.MedicalEntitlementChanged,
        e.MedicalEntitlementWithdrawn,
        e.MedicalEntitlementUndetermined,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """The newest state per year."""
        await connection.upsert(ENTITLEMENT, [_row(recorded.event) for recorded in events])


class PaidLines:
    """缴费成功 as collection reports it: shows PAID, grants nothing (EVENTS: PaymentReceived)."""

    name = "paid-lines"
    tables: Sequence[sa.Table] = (PAID_LINE,)
    handles: tuple[type[msgspec.Struct], ...] = (PaymentReceivedV1, BookkeepingPosted, RefundPaidV1)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Each kind fills its own columns, so that messages of different topics may come in any order."""
        paid: list[dict[str, Any]] = []
        steps: dict[str, dict[str, dict[str, Any]]] = {"booked": {}, "refunded": {}}
        for recorded in events:
            event = recorded.event
            if isinstance(event, PaymentReceivedV1):
                paid.append(_paid(event))
            elif event.payment_line_id:
                step = "booked" if isinstance(event, BookkeepingPosted) else "refunded"
                steps[step][event.payment_line_id] = {"line_id": event.payment_line_id, step: True}
        for rows in (paid, *(list(each.values()) for each in steps.values())):
            if rows:
                await connection.upsert(PAID_LINE, rows)


def _paid(event: PaymentReceivedV1) -> dict[str, Any]:
    return {
        "line_id": event.line_id,
        "person_id": event.person_id,
        "insurance": event.insurance.value,
        "year": event.year,
        "fen": event.fen,
        "paid_on": event.paid_at.astimezone(SHANGHAI).date(),
    }


def _row(event: Any) -> dict[str, Any]:
    row = {"person_id": event.person_id, "year": event.year, "from_date": None, "to_date": None}
    match event:
        case e.MedicalEntitlementWithdrawn():
            return row | {"status": "WITHDRAWN", "rule": event.reason}
        case e.MedicalEntitlementUndetermined():
            return row | {"status": "UNDETERMINED", "rule": event.rule or event.code}
        case _:
            rule = event.reason if isinstance(event, e.MedicalEntitlementChanged) else event.rule
            days = {"from_date": event.from_date, "to_date": event.to_date}
            return row | days | {"status": "GRANTED", "rule": rule}
