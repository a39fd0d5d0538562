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
from shared.kernel.insurance import GOVERNMENT

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
)

# Written out in the statements too: a plan for any value uses such an index only where they say so.
VOUCHERED = treasury_line.c.voucher_no != sa.literal_column("''")
DECLARED = treasury_line.c.declaration_no != sa.literal_column("''")
sa.Index(
    "treasury_line_by_voucher",
    treasury_line.c.voucher_no,
    postgresql_where=VOUCHERED,
    sqlite_where=VOUCHERED,
)
sa.Index(
    "treasury_line_by_declaration",
    treasury_line.c.declaration_no,
    postgresql_where=DECLARED,
    sqlite_where=DECLARED,
)
WAITING = treasury_line.c.voucher_no == sa.literal_column("''")
sa.Index(
    "treasury_line_waiting",
    treasury_line.c.kind,
    treasury_line.c.campaign,
    treasury_line.c.village,
    treasury_line.c.source,
    treasury_line.c.date,
    postgresql_where=WAITING,
    sqlite_where=WAITING,
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
        """Lines in the order of the log; legs, documents and their states once at the end."""
        page = _Page(connection)
        for recorded in events:
            await page.take(recorded)
        await page.flush()


class _Page:
    """A page of events on its way to the tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._legs: list[dict[str, Any]] = []
        self._lines: dict[str, dict[str, Any]] = {}
        self._declarations: dict[str, dict[str, Any]] = {}
        self._vouchers: dict[str, dict[str, Any]] = {}
        self._states: dict[str, dict[str, Any]] = {}

    async def take(self, recorded: Recorded[Any]) -> None:
        """One event."""
        event = recorded.event
        match event:
            case e.ContributionAssessed():
                self._legs += _legs(event)
            case SettlementLinesConfirmed():
                self._lines |= {each: _line(event, each) for each in event.lines}
            case t.DeclarationLines():
                await self._put([line.line_id for line in event.lines], declaration_no=event.declaration_no)
            case t.VoucherLines():
                ids = [line.line_id for line in event.lines if line.line_id]
                await self._put(ids, voucher_no=event.voucher_no)
            case t.VirtualHouseholdDeclarationSubmitted():
                self._declarations[event.declaration_no] = _declaration(recorded)
            case t.DeclarationVerified():
                await self._declared(event.declaration_no, "VERIFIED")
            case t.DeclarationReturned():
                await self._declared(event.declaration_no, "RETURNED")
                await self._flush_lines()
                released = sa.update(treasury_line).where(
                    DECLARED, treasury_line.c.declaration_no == event.declaration_no
                )
                await self._connection.execute(released.values(declaration_no=""))
            case t.TaxVoucherIssued():
                self._vouchers[event.voucher_no] = _voucher(event)
            case _:
                change = _voucher_change(event)
                known = self._vouchers.get(event.voucher_no)
                if known is None:
                    known = self._states.setdefault(event.voucher_no, {})
                known |= change

    async def _put(self, line_ids: Sequence[str], **document: str) -> None:
        """Lines onto a document, be they written yet or of this very page."""
        left = []
        for line_id in line_ids:
            row = self._lines.get(line_id)
            if row is None:
                left.append(line_id)
            else:
                row |= document
        if left:
            where = sa.update(treasury_line).where(treasury_line.c.line_id.in_(left))
            await self._connection.execute(where.values(**document))

    async def _declared(self, declaration_no: str, state: str) -> None:
        known = self._declarations.get(declaration_no)
        if known is not None:
            known["state"] = state
            return
        where = sa.update(declaration).where(declaration.c.declaration_no == declaration_no)
        await self._connection.execute(where.values(state=state))

    async def _flush_lines(self) -> None:
        if self._lines:
            await self._connection.upsert(treasury_line, self._lines.values())
            self._lines = {}

    async def flush(self) -> None:
        """The page is at its end."""
        await self._flush_lines()
        for table, rows in (
            (government_leg, self._legs),
            (declaration, list(self._declarations.values())),
            (voucher, list(self._vouchers.values())),
        ):
            if rows:
                await self._connection.upsert(table, rows)
        alike: dict[tuple[tuple[str, Any], ...], list[str]] = {}
        for voucher_no, change in self._states.items():
            alike.setdefault(tuple(sorted(change.items())), []).append(voucher_no)
        for values, numbers in alike.items():
            where = sa.update(voucher).where(voucher.c.voucher_no.in_(numbers))
            await self._connection.execute(where.values(**dict(values)))


def _voucher_change(event: Any) -> dict[str, Any]:
    match event:
        case t.FundsDebited():
            return {"state": "DEBITED"}
        case t.FundsRemitted():
            return {"state": "REMITTED"}
        case t.TreasuryEntryConfirmed():
            return {"state": "IN_TREASURY", "treasury_date": event.treasury_date}
        case t.TreasuryEntryRejected():
            return {"state": "REJECTED"}
        case t.TaxVoucherReissued():
            return {"state": "ISSUED", "cycle": event.cycle}
        case _:
            return {"acknowledged": True}


def _legs(event: e.ContributionAssessed) -> list[dict[str, Any]]:
    """The government legs; those an assessment took away stand at 0."""
    again = isinstance(event, e.ContributionReassessed) or event.version > 1
    gone = {"department": 0, "finance": 0} if again else {}
    fen = gone | {leg.payer.value: leg.fen for leg in event.legs if leg.payer in GOVERNMENT}
    return [
        {
            "year": event.year,
            "insurance": event.insurance.value,
            "person_id": event.person_id,
            "payer": payer,
            "fen": fen[payer],
        }
        for payer in fen
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
