"""Read models of the treasury: settled lines waiting for a declaration or voucher, declarations, vouchers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.obligations import events as e
from services.collection.settlement.events import SettlementLinesConfirmed
from services.collection.treasury import events as t
from shared.eventstore.columns import Moment
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

treasury_line = sa.Table(
    "treasury_line",
    metadata,
    sa.Column("line_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("declaration_no", sa.Text, nullable=False),
    sa.Column("voucher_no", sa.Text, nullable=False),
    sa.Index("treasury_line_by_voucher", "voucher_no"),
    sa.Index("treasury_line_by_declaration", "declaration_no"),
)

_WAITING = treasury_line.c.voucher_no == ""
sa.Index(
    "treasury_line_waiting",
    treasury_line.c.kind,
    treasury_line.c.campaign,
    treasury_line.c.village,
    treasury_line.c.source,
    treasury_line.c.date,
    postgresql_where=_WAITING,
    sqlite_where=_WAITING,
)

declaration = sa.Table(
    "declaration",
    metadata,
    sa.Column("declaration_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("virtual_household_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("submitted_at", Moment, nullable=False),
    sa.Index("declaration_by_village", "campaign", "village"),
)

voucher = sa.Table(
    "voucher",
    metadata,
    sa.Column("voucher_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("treasury_date", sa.Date, nullable=True),
    sa.Column("acknowledged", sa.Boolean, nullable=False),
    sa.Index("voucher_by_state", "state", "voucher_no"),
    sa.Index("voucher_by_village", "campaign", "village", "source"),
)

government_leg = sa.Table(
    "government_leg",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("payer", sa.Text, primary_key=True),
    sa.Column("fen", sa.BigInteger, nullable=False),
)


class TreasuryLines:
    """Keeps ``treasury_line``, ``declaration``, ``voucher`` and ``government_leg``."""

    name = "treasury"
    tables: Sequence[sa.Table] = (treasury_line, declaration, voucher, government_leg)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.ContributionAssessed,
        e.ContributionReassessed,
        SettlementLinesConfirmed,
        t.DeclarationLines,
        t.VirtualHouseholdDeclarationSubmitted,
        t.DeclarationVerified,
        t.DeclarationReturned,
        t.VoucherLines,
        t.TaxVoucherIssued,
        t.FundsDebited,
        t.FundsRemitted,
        t.TreasuryEntryConfirmed,
        t.TreasuryEntryRejected,
        t.TaxVoucherReissued,
        t.CollectionInfoAcknowledged,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Legs of assessments in bulk, the rest one by one."""
        legs: list[dict[str, Any]] = []
        for recorded in events:
            event = recorded.event
            if isinstance(event, e.ContributionAssessed):
                legs += _legs(event)
                continue
            if isinstance(event, SettlementLinesConfirmed):
                await connection.upsert(treasury_line, [_line(event, each) for each in event.lines])
            elif isinstance(event, t.DeclarationLines | t.VoucherLines | t.DeclarationReturned):
                await self._lines(connection, event)
            elif isinstance(event, t.VirtualHouseholdDeclarationSubmitted):
                await connection.upsert(declaration, [_declaration(recorded)])
            elif isinstance(event, t.DeclarationVerified):
                await self._declared(connection, event.declaration_no, "VERIFIED")
            else:
                await self._voucher(connection, event)
        if legs:
            await connection.upsert(government_leg, legs)

    async def _lines(self, connection: Connection, event: Any) -> None:
        c = treasury_line.c
        if isinstance(event, t.DeclarationReturned):
            await self._declared(connection, event.declaration_no, "RETURNED")
            await connection.execute(
                sa.update(treasury_line)
                .where(c.declaration_no == event.declaration_no)
                .values(declaration_no="")
            )
            return
        ids = [line.line_id for line in event.lines if line.line_id]
        where = sa.update(treasury_line).where(c.line_id.in_(ids))
        if isinstance(event, t.DeclarationLines):
            await connection.execute(where.values(declaration_no=event.declaration_no))
        elif ids:
            await connection.execute(where.values(voucher_no=event.voucher_no))

    async def _declared(self, connection: Connection, declaration_no: str, state: str) -> None:
        await connection.execute(
            sa.update(declaration).where(declaration.c.declaration_no == declaration_no).values(state=state)
        )

    async def _voucher(self, connection: Connection, event: Any) -> None:
        change = sa.update(voucher).where(voucher.c.voucher_no == event.voucher_no)
        match event:
            case t.TaxVoucherIssued():
                await connection.upsert(voucher, [_voucher(event)])
            case t.FundsDebited():
                await connection.execute(change.values(state="DEBITED"))
            case t.FundsRemitted():
                await connection.execute(change.values(state="REMITTED"))
            case t.TreasuryEntryConfirmed():
                await connection.execute(
                    change.values(state="IN_TREASURY", treasury_date=event.treasury_date)
                )
            case t.TreasuryEntryRejected():
                await connection.execute(change.values(state="REJECTED"))
            case t.TaxVoucherReissued():
                await connection.execute(change.values(state="ISSUED", cycle=event.cycle))
            case t.CollectionInfoAcknowledged():
                await connection.execute(change.values(acknowledged=True))


def _legs(event: e.ContributionAssessed) -> list[dict[str, Any]]:
    """All government legs, at 0 when the assessment has none any more."""
    fen = {"department": 0, "finance": 0} | {leg.payer.value: leg.fen for leg in event.legs}
    return [
        {
            "year": event.year,
            "insurance": event.insurance.value,
            "person_id": event.person_id,
            "payer": payer,
            "fen": fen[payer],
        }
        for payer in ("department", "finance")
    ]


def _line(event: SettlementLinesConfirmed, line_id: str) -> dict[str, Any]:
    return {
        "line_id": line_id,
        "campaign": event.campaign,
        "village": event.village,
        "source": event.source,
        "kind": event.kind,
        "date": event.date,
        "insurance": event.insurance.value,
        "batch": event.batch,
        "declaration_no": "",
        "voucher_no": "",
    }


def _declaration(recorded: Recorded[Any]) -> dict[str, Any]:
    event = recorded.event
    return {
        "declaration_no": event.declaration_no,
        "campaign": event.campaign,
        "village": event.village,
        "virtual_household_id": event.virtual_household_id,
        "state": "SUBMITTED",
        "count": event.count,
        "fen": event.fen,
        "submitted_at": recorded.occurred_at,
    }


def _voucher(event: t.TaxVoucherIssued) -> dict[str, Any]:
    return {
        "voucher_no": event.voucher_no,
        "campaign": event.campaign,
        "village": event.village,
        "insurance": event.insurance.value,
        "year": event.year,
        "source": event.source,
        "origin": event.origin,
        "count": event.count,
        "fen": event.fen,
        "state": "ISSUED",
        "cycle": 1,
        "treasury_date": None,
        "acknowledged": False,
    }
