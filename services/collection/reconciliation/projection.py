"""Where every fen is: a row per payment line and government leg, beside the outside's books."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.fund_accounts import events as f
from services.collection.obligations import events as e
from services.collection.payments import events as p
from services.collection.reconciliation import events as r
from services.collection.reconciliation.books import Books
from services.collection.reconciliation.ledger import Ledger
from services.collection.reconciliation.tables import (
    CASH,
    ON_DECLARATION,
    ON_VOUCHER,
    VOUCHERED,
    government_line_id,
    metadata,
    money_book,
    money_line,
    money_sum,
    money_village,
    money_voucher,
    open_difference,
    outside_book,
    reconciliation_day,
    three_way,
    voucher_book,
)
from services.collection.settlement import events as s
from services.collection.treasury import events as t
from shared.contracts.registration import BookkeepingEntriesPostedV1, EnrolmentEnteredV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI

__all__ = ["MoneyPositions", "metadata"]

_LINES = (
    e.PaymentReceived,
    e.DuplicatePaymentDetected,
    e.PostDeathPaymentDetected,
    e.MisfitPaymentDetected,
    p.UnidentifiedMoneyRecorded,
)


_OUTSIDE = (
    s.DailySettlementDeposited,
    s.SettlementCorrected,
    s.ChannelDayFileReceived,
    s.DailySettlementDiscrepancyDetected,
    s.DailySettlementDiscrepancyResolved,
)
"""What banks and channels say of a day, and how far it differs."""

_FUND = (
    f.FundAccountDeposited,
    f.PaymentDocumentLines,
    f.FiscalAccountTransferred,
    f.PaymentDocumentLinesConfirmed,
    f.PaymentDocumentsConfirmed,
    f.BookingAcknowledged,
)
"""What moves money where a plan has no treasury: FUND_ACCOUNT, RECONCILED, ENTERED, FISCAL_ACCOUNT, CONFIRMED."""


def _standing(event: Any) -> str:
    if isinstance(event, e.PaymentReceived | e.PostDeathFindingWithdrawn):
        return "EFFECTIVE"
    if isinstance(event, p.UnidentifiedMoneyRecorded):
        return "UNIDENTIFIED"
    return "REFUNDED" if isinstance(event, e.PaymentRefunded) else "REFUND_DUE"


class MoneyPositions:
    """Keeps ``money_line``, ``outside_book``, ``voucher_book`` and what reconciliations found."""

    name = "money-positions"
    tables: Sequence[sa.Table] = (
        money_line,
        money_voucher,
        money_sum,
        money_book,
        money_village,
        outside_book,
        voucher_book,
        reconciliation_day,
        open_difference,
        three_way,
    )
    handles: tuple[type[msgspec.Struct], ...] = (
        *_LINES,
        e.PostDeathFindingWithdrawn,
        e.PaymentRefunded,
        e.GovernmentLegVouchered,
        s.SettlementLinesConfirmed,
        *_OUTSIDE,
        t.DeclarationLines,
        t.DeclarationReturned,
        t.VoucherLines,
        t.FundsDebited,
        t.FundsRemitted,
        t.TreasuryEntryConfirmed,
        t.TreasuryEntryRejected,
        t.TaxVoucherReissued,
        t.CollectionInfoReturned,
        t.CollectionInfoAcknowledged,
        *_FUND,
        EnrolmentEnteredV1,
        BookkeepingEntriesPostedV1,
        r.TotalsReconciled,
        r.ReconciliationDifferenceFound,
        r.ReconciliationDifferenceResolved,
        r.ThreeWayMatchVerified,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order; what depends on no line is gathered, the rest taken in runs of alike events."""
        page = _Page(connection)
        rest = (recorded.event for recorded in events if not page.gathered(recorded.event))
        for bulk, run in groupby(rest, key=lambda event: _BULK.get(type(event), "")):
            await page.take(bulk, list(run))
        await page.flush()


class _Page:
    """A page of events on its way to the tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ledger = Ledger(connection)
        self._books = Books(connection)

    def gathered(self, event: Any) -> bool:
        """Take what can wait for the page's end; False for all else."""
        stage = _STAGES.get(type(event))
        if stage is not None:
            self._ledger.step(event.voucher_no, stage)
        match event:
            case t.TreasuryEntryConfirmed():
                self._books.entered(
                    event.voucher_no,
                    event.campaign,
                    event.insurance.value,
                    event.treasury_date,
                    event.count,
                    event.fen,
                )
            case t.CollectionInfoReturned():
                fen = sum(line.fen for line in event.lines)
                where = (event.voucher_no, event.campaign, event.insurance.value)
                self._books.add("returned", *where, len(event.lines), fen)
            case t.CollectionInfoAcknowledged():
                self._books.acknowledge(event.voucher_no)
            case r.ThreeWayMatchVerified():
                self._books.match(event)
            case _ if isinstance(event, _OUTSIDE):
                _outside(self._books, event)
            case _:
                return stage is not None
        return True

    async def flush(self) -> None:
        """The page is at its end."""
        await self._ledger.flush()
        await self._books.flush()

    async def take(self, bulk: str, events: Sequence[Any]) -> None:
        """A run of events of one kind."""
        if bulk == "lines":
            await self._ledger.write([_line_row(event) for event in events])
        elif bulk == "government":
            await self._ledger.write([_government_row(event) for event in events])
        elif bulk == "settled":
            days: dict[Any, list[str]] = {}
            for event in events:
                days.setdefault(event.date, []).extend(event.lines)
            for date, lines in days.items():
                await self._ledger.move_lines(lines, stage="SETTLED", date=date)
        elif bulk == "entries":
            await self._entered(events)
        else:
            for event in events:
                await self._one(event)

    async def _one(self, event: Any) -> None:
        match event:
            case e.PostDeathFindingWithdrawn() | e.PaymentRefunded():
                await self._ledger.move_lines([event.line_id], standing=_standing(event))
            case BookkeepingEntriesPostedV1():
                await self._booked(event)
            case (
                r.TotalsReconciled()
                | r.ReconciliationDifferenceFound()
                | r.ReconciliationDifferenceResolved()
            ):
                await self._found(self._connection, event)
            case _ if isinstance(event, _FUND):
                await self._fund(event)
            case _:
                await self._chain(event)

    async def _booked(self, event: BookkeepingEntriesPostedV1) -> None:
        c = money_line.c
        payers: dict[str, list[str]] = {}
        for line in event.lines:
            payers.setdefault(line.payer, []).append(line.person_id)
        for payer, persons in payers.items():
            mine = sa.and_(
                ON_VOUCHER, c.voucher_no == event.voucher_no, c.payer == payer, c.person_id.in_(persons)
            )
            await self._ledger.move(mine, stage="BOOKED")
        where = (event.voucher_no, event.campaign, event.insurance.value)
        self._books.add("booked", *where, len(event.lines), sum(line.fen for line in event.lines))

    async def _entered(self, events: Sequence[EnrolmentEnteredV1]) -> None:
        """录入 of payer legs, by the document they stand in."""
        groups: dict[tuple[str, str], list[str]] = {}
        for event in events:
            groups.setdefault((event.voucher_no, event.payer), []).append(event.person_id)
        c = money_line.c
        for (document_no, payer), persons in groups.items():
            mine = sa.and_(c.voucher_no == document_no, c.payer == payer, c.person_id.in_(persons))
            await self._ledger.move(mine, stage="ENTERED")

    async def _chain(self, event: Any) -> None:
        """Stage of lines as documents carry them on."""
        match event:
            case t.DeclarationLines():
                ids = [line.line_id for line in event.lines]
                await self._ledger.move_lines(ids, stage="DECLARED", declaration_no=event.declaration_no)
            case t.DeclarationReturned():
                mine = sa.and_(ON_DECLARATION, money_line.c.declaration_no == event.declaration_no)
                await self._ledger.move(mine, stage="SETTLED", declaration_no="")
            case t.VoucherLines():
                ids = [line.line_id for line in event.lines if line.line_id]
                await self._ledger.move_lines(ids, stage=VOUCHERED, voucher_no=event.voucher_no)

    async def _fund(self, event: Any) -> None:
        """Stages of the flow into fund accounts. voucher_no is the payment document's number."""
        c = money_line.c
        match event:
            case f.FundAccountDeposited():
                ids = [line.line_id for line in event.lines if line.line_id]
                own = sa.and_(c.line_id.in_(ids), c.stage.in_(("RECEIVED", "SETTLED")))
                government = sa.and_(c.voucher_no == event.document_no, c.stage == "RECONCILED")
                await self._ledger.move(government if event.document_no else own, stage="FUND_ACCOUNT")
            case f.PaymentDocumentLines():
                insurance = event.insurance.value
                ids = [
                    line.line_id or government_line_id(event.year, insurance, line.person_id, line.payer)
                    for line in event.lines
                ]
                await self._ledger.move_lines(ids, stage="RECONCILED", voucher_no=event.document_no)
            case f.FiscalAccountTransferred():
                entered = sa.and_(c.voucher_no == event.document_no, c.stage == "ENTERED")
                await self._ledger.move(entered, stage="FISCAL_ACCOUNT")
            case f.PaymentDocumentLinesConfirmed():
                persons = [line.person_id for line in event.lines]
                arrived = sa.and_(
                    c.voucher_no == event.document_no, c.person_id.in_(persons), c.stage == "FISCAL_ACCOUNT"
                )
                await self._ledger.move(arrived, stage="CONFIRMED")
            case f.PaymentDocumentsConfirmed():
                where = (event.document_no, event.campaign, event.insurance.value)
                self._books.entered(*where, event.confirmed_on, event.count, event.fen)
                self._books.add("returned", *where, event.count, event.fen)
            case f.BookingAcknowledged():
                self._books.acknowledge(event.document_no)

    async def _found(self, connection: Connection, event: Any) -> None:
        match event:
            case r.TotalsReconciled():
                row = {
                    "campaign": event.campaign,
                    "date": event.date,
                    "insurance": event.insurance.value,
                    "equal": event.equal,
                    "in_transit_fen": event.in_transit_fen,
                }
                await connection.upsert(reconciliation_day, [row])
            case r.ReconciliationDifferenceFound():
                row = {
                    "campaign": event.campaign,
                    "date": event.date,
                    "difference_id": event.difference_id,
                    "insurance": event.insurance.value,
                    "kind": event.kind,
                    "fen": event.fen,
                    "owner": event.owner,
                }
                await connection.upsert(open_difference, [row])
            case r.ReconciliationDifferenceResolved():
                c = open_difference.c
                await connection.execute(
                    sa.delete(open_difference).where(
                        c.campaign == event.campaign,
                        c.date == event.date,
                        c.difference_id == event.difference_id,
                    )
                )


_STAGES: dict[type[Any], str] = {
    t.FundsDebited: "DEBITED",
    t.FundsRemitted: "REMITTED",
    t.TreasuryEntryConfirmed: "IN_TREASURY",
    t.TreasuryEntryRejected: VOUCHERED,
    t.TaxVoucherReissued: VOUCHERED,
    t.CollectionInfoReturned: "RETURNED",
}
"""Where a step leaves the money of a voucher's lines."""

_BULK: dict[type[Any], str] = {
    **dict.fromkeys(_LINES, "lines"),
    e.GovernmentLegVouchered: "government",
    s.SettlementLinesConfirmed: "settled",
    EnrolmentEnteredV1: "entries",
}


def _outside(books: Books, event: Any) -> None:
    """A deposit, correction, day file or discrepancy."""
    match event:
        case s.ChannelDayFileReceived():
            for each in event.sums:
                books.tell(event, event.channel, each.insurance, event.channel, each.fen, 1)
        case s.DailySettlementDeposited():
            if event.designated:
                books.tell(event, event.source, event.insurance, CASH, event.fen, 1)
        case s.SettlementCorrected():
            sign = 1 if event.resolution == "CORRECTIVE_DEPOSIT" else -1
            books.tell(event, event.source, event.insurance, CASH, sign * event.fen, 1)
        case _:
            channel = CASH if event.kind == "AGENT" else event.source
            book = books.tell(event, event.source, event.insurance, channel, 0, 0)
            book[3] = getattr(event, "diff_fen", 0)


def _line_row(event: Any) -> dict[str, Any]:
    return {
        "line_id": event.line_id,
        "campaign": event.campaign,
        "village": event.village,
        "insurance": str(event.insurance),
        "date": event.paid_at.astimezone(SHANGHAI).date(),
        "channel": event.channel,
        "book": event.agent_id if event.channel == CASH else event.channel,
        "person_id": getattr(event, "person_id", ""),
        "payer": "person",
        "fen": event.fen,
        "stage": "RECEIVED",
        "standing": _standing(event),
        "voucher_no": "",
        "declaration_no": "",
    }


def _government_row(event: e.GovernmentLegVouchered) -> dict[str, Any]:
    return {
        "line_id": government_line_id(event.year, event.insurance.value, event.person_id, event.payer),
        "campaign": event.campaign,
        "village": event.village,
        "insurance": event.insurance.value,
        "date": None,
        "channel": "GOVERNMENT",
        "book": "",
        "person_id": event.person_id,
        "payer": event.payer,
        "fen": event.fen,
        "stage": "VOUCHERED",
        "standing": "EFFECTIVE",
        "voucher_no": event.voucher_no,
        "declaration_no": "",
    }
