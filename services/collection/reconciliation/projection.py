"""Where every fen is: a row per payment line and government leg, beside the outside's books."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.fund_accounts import events as f
from services.collection.obligations import events as e
from services.collection.payments import events as p
from services.collection.reconciliation import events as r
from services.collection.settlement import events as s
from services.collection.treasury import events as t
from shared.contracts.registration import BookkeepingPostedV1, EnrolmentEnteredV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI

metadata = sa.MetaData()
CASH = "CASH_AGENT"

money_line = sa.Table(
    "money_line",
    metadata,
    sa.Column("line_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("date", sa.Date, nullable=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column(
        "book", sa.Text, nullable=False
    ),  # whose book outside holds it: the agent of cash, else the channel
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("payer", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("standing", sa.Text, nullable=False),
    sa.Column("voucher_no", sa.Text, nullable=False),
    sa.Column("declaration_no", sa.Text, nullable=False),
    sa.Index("money_line_by_voucher", "voucher_no", "person_id"),
    sa.Index("money_line_by_declaration", "declaration_no"),
    sa.Index("money_line_by_book", "campaign", "book", "date"),
)

outside_book = sa.Table(
    "outside_book",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("book", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("open_diff_fen", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Integer, nullable=False),
)

voucher_book = sa.Table(
    "voucher_book",
    metadata,
    sa.Column("voucher_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("treasury_date", sa.Date, nullable=False),
    sa.Column("entered_count", sa.BigInteger, nullable=False),
    sa.Column("entered_fen", sa.BigInteger, nullable=False),
    sa.Column("returned_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("returned_fen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("acknowledged", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("voucher_book_by_day", "campaign", "treasury_date"),
)

booking = sa.Table(
    "booking",
    metadata,
    sa.Column("voucher_no", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("payer", sa.Text, primary_key=True),
    sa.Column("fen", sa.BigInteger, nullable=False),
)

reconciliation_day = sa.Table(
    "reconciliation_day",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("equal", sa.Boolean, nullable=False),
    sa.Column("in_transit_fen", sa.BigInteger, nullable=False),
)

open_difference = sa.Table(
    "open_difference",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("difference_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
)

three_way = sa.Table(
    "three_way",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
)

_LINES = (
    e.PaymentReceived,
    e.DuplicatePaymentDetected,
    e.PostDeathPaymentDetected,
    e.MisfitPaymentDetected,
    p.UnidentifiedMoneyRecorded,
)


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


def government_line_id(year: int, insurance: str, person_id: str, payer: str) -> str:
    """Id of a government leg's row."""
    return f"gov:{year}:{insurance}:{person_id}:{payer}"


class MoneyPositions:
    """Keeps ``money_line``, ``outside_book``, ``voucher_book`` and what reconciliations found."""

    name = "money-positions"
    tables: Sequence[sa.Table] = (
        money_line,
        outside_book,
        voucher_book,
        booking,
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
        s.DailySettlementDeposited,
        s.SettlementCorrected,
        s.ChannelDayFileReceived,
        s.DailySettlementDiscrepancyDetected,
        s.DailySettlementDiscrepancyResolved,
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
        BookkeepingPostedV1,
        r.TotalsReconciled,
        r.ReconciliationDifferenceFound,
        r.ReconciliationDifferenceResolved,
        r.ThreeWayMatchVerified,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order; runs of new lines and of bookings in bulk."""
        for bulk, run in groupby(events, key=lambda recorded: _bulk(recorded.event)):
            members = [recorded.event for recorded in run]
            if bulk == "lines":
                await self._new_lines(connection, members)
            elif bulk == "bookings":
                await self._booked(connection, members)
            elif bulk == "entries":
                await _entered(connection, members)
            else:
                for event in members:
                    await self._one(connection, event)

    async def _new_lines(self, connection: Connection, events: Iterable[Any]) -> None:
        """New lines are inserted; an event on a known line only changes its standing, village and person."""
        rows = [_line_row(event) for event in events]
        chain = ["date", "book", "stage", "voucher_no", "declaration_no", "payer"]
        await connection.upsert(money_line, rows, keep=chain)

    async def _booked(self, connection: Connection, events: Sequence[BookkeepingPostedV1]) -> None:
        rows = [
            {"voucher_no": b.voucher_no, "person_id": b.person_id, "payer": b.payer, "fen": b.fen}
            for b in events
        ]
        await connection.upsert(booking, rows, ignore=True)
        groups: dict[tuple[str, str], list[str]] = {}
        for b in events:
            groups.setdefault((b.voucher_no, b.payer), []).append(b.person_id)
        c = money_line.c
        for (voucher_no, payer), persons in groups.items():
            await connection.execute(
                sa.update(money_line)
                .where(c.voucher_no == voucher_no, c.payer == payer, c.person_id.in_(persons))
                .values(stage="BOOKED")
            )

    async def _one(self, connection: Connection, event: Any) -> None:
        if isinstance(event, e.PostDeathFindingWithdrawn | e.PaymentRefunded):
            await connection.execute(
                sa.update(money_line)
                .where(money_line.c.line_id == event.line_id)
                .values(standing=_standing(event))
            )
        elif isinstance(event, _FUND):
            await _fund(connection, event)
        elif isinstance(event, e.GovernmentLegVouchered):
            await connection.upsert(money_line, [_government_row(event)])
        elif isinstance(
            event,
            s.DailySettlementDeposited
            | s.SettlementCorrected
            | s.ChannelDayFileReceived
            | s.DailySettlementDiscrepancyDetected
            | s.DailySettlementDiscrepancyResolved,
        ):
            await self._outside(connection, event)
        elif isinstance(
            event,
            r.TotalsReconciled
            | r.ReconciliationDifferenceFound
            | r.ReconciliationDifferenceResolved
            | r.ThreeWayMatchVerified,
        ):
            await self._found(connection, event)
        else:
            await self._chain(connection, event)
            await self._voucher(connection, event)

    async def _chain(self, connection: Connection, event: Any) -> None:
        """Stage of lines as documents carry them on."""
        c = money_line.c
        change = sa.update(money_line)
        match event:
            case s.SettlementLinesConfirmed():
                values: dict[str, Any] = {"stage": "SETTLED", "date": event.date}
                await connection.execute(change.where(c.line_id.in_(event.lines)).values(**values))
            case t.DeclarationLines():
                ids = [line.line_id for line in event.lines]
                values = {"stage": "DECLARED", "declaration_no": event.declaration_no}
                await connection.execute(change.where(c.line_id.in_(ids)).values(**values))
            case t.DeclarationReturned():
                where = change.where(c.declaration_no == event.declaration_no)
                await connection.execute(where.values(stage="SETTLED", declaration_no=""))
            case t.VoucherLines():
                ids = [line.line_id for line in event.lines if line.line_id]
                if ids:
                    values = {"stage": "VOUCHERED", "voucher_no": event.voucher_no}
                    await connection.execute(change.where(c.line_id.in_(ids)).values(**values))
            case t.CollectionInfoReturned():
                persons = [line.person_id for line in event.lines]
                where = change.where(c.voucher_no == event.voucher_no, c.person_id.in_(persons))
                await connection.execute(where.values(stage="RETURNED"))
            case _:
                await self._voucher_stage(connection, event)

    async def _voucher_stage(self, connection: Connection, event: Any) -> None:
        stages: dict[type[Any], str] = {
            t.FundsDebited: "DEBITED",
            t.FundsRemitted: "REMITTED",
            t.TreasuryEntryConfirmed: "IN_TREASURY",
            t.TreasuryEntryRejected: "VOUCHERED",
            t.TaxVoucherReissued: "VOUCHERED",
        }
        change = sa.update(money_line).where(money_line.c.voucher_no == getattr(event, "voucher_no", ""))
        if type(event) in stages:
            await connection.execute(change.values(stage=stages[type(event)]))

    async def _voucher(self, connection: Connection, event: Any) -> None:
        change = sa.update(voucher_book).where(voucher_book.c.voucher_no == getattr(event, "voucher_no", ""))
        match event:
            case t.TreasuryEntryConfirmed():
                row = {
                    "voucher_no": event.voucher_no,
                    "campaign": event.campaign,
                    "insurance": event.insurance.value,
                    "treasury_date": event.treasury_date,
                    "entered_count": event.count,
                    "entered_fen": event.fen,
                }
                await connection.upsert(voucher_book, [row])
            case t.CollectionInfoReturned():
                await connection.execute(
                    change.values(
                        returned_count=voucher_book.c.returned_count + len(event.lines),
                        returned_fen=voucher_book.c.returned_fen + sum(line.fen for line in event.lines),
                    )
                )
            case t.CollectionInfoAcknowledged():
                await connection.execute(change.values(acknowledged=True))

    async def _outside(self, connection: Connection, event: Any) -> None:
        rows: list[dict[str, Any]] = []
        add = ["fen", "told"]
        match event:
            case s.ChannelDayFileReceived():
                rows = [
                    _book_row(event, event.channel, each.insurance, event.channel) | {"fen": each.fen}
                    for each in event.sums
                ]
            case s.DailySettlementDeposited():
                if event.designated:
                    rows = [_book_row(event, event.source, event.insurance, CASH) | {"fen": event.fen}]
            case s.SettlementCorrected():
                sign = 1 if event.resolution == "CORRECTIVE_DEPOSIT" else -1
                row = _book_row(event, event.source, event.insurance, CASH)
                rows = [row | {"fen": sign * event.fen}]
            case _:
                agent = event.kind == "AGENT"
                row = _book_row(event, event.source, event.insurance, CASH if agent else event.source)
                row["open_diff_fen"] = getattr(event, "diff_fen", 0)
                rows, add = [row | {"told": 0}], ["fen", "told"]
                await connection.upsert(outside_book, rows, add=add)
                return
        if rows:
            # ``open_diff_fen`` is the discrepancy's alone: only set when the row is new.
            await connection.upsert(outside_book, rows, add=add, keep=["open_diff_fen"])

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
            case r.ThreeWayMatchVerified():
                row = {
                    "campaign": event.campaign,
                    "village": event.village,
                    "insurance": event.insurance.value,
                    "count": event.collected_count,
                    "fen": event.collected_fen,
                }
                await connection.upsert(three_way, [row])


async def _entered(connection: Connection, events: Sequence[EnrolmentEnteredV1]) -> None:
    """录入 of payer legs, by the document they stand in."""
    groups: dict[tuple[str, str], list[str]] = {}
    for event in events:
        groups.setdefault((event.voucher_no, event.payer), []).append(event.person_id)
    c = money_line.c
    for (document_no, payer), persons in groups.items():
        await connection.execute(
            sa.update(money_line)
            .where(c.voucher_no == document_no, c.payer == payer, c.person_id.in_(persons))
            .values(stage="ENTERED")
        )


async def _fund(connection: Connection, event: Any) -> None:
    """Stages of the flow into fund accounts. voucher_no is the payment document's number."""
    c = money_line.c
    change = sa.update(money_line)
    match event:
        case f.FundAccountDeposited():
            ids = [line.line_id for line in event.lines if line.line_id]
            own = sa.and_(c.line_id.in_(ids), c.stage.in_(("RECEIVED", "SETTLED")))
            government = sa.and_(c.voucher_no == event.document_no, c.stage == "RECONCILED")
            where = government if event.document_no else own
            await connection.execute(change.where(where).values(stage="FUND_ACCOUNT"))
        case f.PaymentDocumentLines():
            insurance = event.insurance.value
            ids = [
                line.line_id or government_line_id(event.year, insurance, line.person_id, line.payer)
                for line in event.lines
            ]
            drawn = change.where(c.line_id.in_(ids))
            await connection.execute(drawn.values(stage="RECONCILED", voucher_no=event.document_no))
        case f.FiscalAccountTransferred():
            entered = change.where(c.voucher_no == event.document_no, c.stage == "ENTERED")
            await connection.execute(entered.values(stage="FISCAL_ACCOUNT"))
        case f.PaymentDocumentLinesConfirmed():
            persons = [line.person_id for line in event.lines]
            moved = change.where(
                c.voucher_no == event.document_no, c.person_id.in_(persons), c.stage == "FISCAL_ACCOUNT"
            )
            await connection.execute(moved.values(stage="CONFIRMED"))
        case f.PaymentDocumentsConfirmed():
            row = {
                "voucher_no": event.document_no,
                "campaign": event.campaign,
                "insurance": event.insurance.value,
                "treasury_date": event.confirmed_on,
                "entered_count": event.count,
                "entered_fen": event.fen,
                "returned_count": event.count,
                "returned_fen": event.fen,
            }
            await connection.upsert(voucher_book, [row])
        case f.BookingAcknowledged():
            book = sa.update(voucher_book).where(voucher_book.c.voucher_no == event.document_no)
            await connection.execute(book.values(acknowledged=True))


def _bulk(event: Any) -> str:
    if isinstance(event, _LINES):
        return "lines"
    if isinstance(event, EnrolmentEnteredV1):
        return "entries"
    return "bookings" if isinstance(event, BookkeepingPostedV1) else ""


def _line_row(event: Any) -> dict[str, Any]:
    return {
        "line_id": event.line_id,
        "campaign": event.campaign,
        "village": event.village,
        "insurance": event.insurance.value,
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


def _book_row(event: Any, book: str, insurance: Any, channel: str) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "book": book,
        "insurance": insurance.value,
        "date": event.date,
        "channel": channel,
        "fen": 0,
        "open_diff_fen": 0,
        "told": 1,
    }
