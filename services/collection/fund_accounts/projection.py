"""Read models of fund accounts: accounts, deposited lines, payment documents, villages, weekly statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.fund_accounts import events as f
from shared.contracts.registration import EnrolmentEnteredV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

fund_account = sa.Table(
    "fund_account",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("account_ref", sa.Text, nullable=False),
    sa.Column("bank", sa.Text, nullable=False),
)

fund_line = sa.Table(
    "fund_line",
    metadata,
    sa.Column("line_key", sa.Text, primary_key=True),  # the payment line, or gov:{year}:{insurance}:…
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("payer", sa.Text, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("deposit_no", sa.Text, nullable=False),
    sa.Column("deposited_on", sa.Date, nullable=True),
    sa.Column("document_no", sa.Text, nullable=False),
    sa.Column("line_no", sa.Integer, nullable=False),
    sa.Column("signed", sa.Boolean, nullable=False),
    sa.Column("entered", sa.Boolean, nullable=False),
    sa.Index("fund_line_waiting", "campaign", "kind", "village", "document_no"),
    sa.Index("fund_line_by_document", "document_no", "person_id"),
)

payment_document = sa.Table(
    "payment_document",
    metadata,
    sa.Column("document_no", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("station", sa.Text, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("arrived", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("entered_count", sa.BigInteger, nullable=False),
    sa.Column("entered_fen", sa.BigInteger, nullable=False),
    sa.Column("summary_count", sa.BigInteger, nullable=False),
    sa.Column("summary_fen", sa.BigInteger, nullable=False),
    sa.Column("receipt_no", sa.Text, nullable=False),
    sa.Column("transferred_on", sa.Date, nullable=True),
    sa.Column("confirmed_on", sa.Date, nullable=True),
    sa.Column("acknowledged", sa.Boolean, nullable=False),
    sa.Index("payment_document_by_campaign", "campaign", "state"),
    sa.Index("payment_document_by_origin", "campaign", "source", "origin"),
)

village_account = sa.Table(
    "village_account",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("signatures", sa.Integer, nullable=False),
    sa.Column("confirmed", sa.Integer, nullable=False, server_default="0"),
)

weekly_statistics = sa.Table(
    "weekly_statistics",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("date", sa.Date, primary_key=True),
    sa.Column("village", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("subsidised", sa.Boolean, primary_key=True),
    sa.Column("received_count", sa.BigInteger, nullable=False),
    sa.Column("received_fen", sa.BigInteger, nullable=False),
    sa.Column("entered_count", sa.BigInteger, nullable=False),
    sa.Column("entered_fen", sa.BigInteger, nullable=False),
    sa.Column("money_count", sa.BigInteger, nullable=False),
    sa.Column("money_fen", sa.BigInteger, nullable=False),
)


def line_key(line_id: str, year: int, insurance: str, person_id: str, payer: str) -> str:
    """A payment line's own id; a government leg's is made of what it is for."""
    return line_id or f"gov:{year}:{insurance}:{person_id}:{payer}"


class FundAccountRows:
    """Keeps the five tables. Lines are told by deposits, documents and registration's entries."""

    name = "fund-accounts"
    tables: Sequence[sa.Table] = (
        fund_account,
        fund_line,
        payment_document,
        village_account,
        weekly_statistics,
    )
    handles: tuple[type[msgspec.Struct], ...] = (
        f.FundAccountOpened,
        f.FundAccountDeposited,
        f.PaymentDocumentLines,
        f.PaymentDocumentDrawn,
        f.VillageReconciliationSigned,
        f.CollectionSummaryFiled,
        f.FiscalReceiptIssued,
        f.FiscalAccountTransferred,
        f.PaymentDocumentsConfirmed,
        f.VillagePaymentsConfirmed,
        f.BookingAcknowledged,
        f.WeeklyStatisticsCompiled,
        EnrolmentEnteredV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Entries of a page in bulk, the documents one by one: they are few."""
        entered: list[EnrolmentEnteredV1] = []
        for recorded in events:
            event = recorded.event
            if isinstance(event, EnrolmentEnteredV1):
                entered.append(event)
                continue
            if entered:
                await _entered(connection, entered)
                entered = []
            await self._one(connection, event)
        if entered:
            await _entered(connection, entered)

    async def _one(self, connection: Connection, event: Any) -> None:
        match event:
            case f.FundAccountOpened():
                row = msgspec.structs.asdict(event) | {"insurance": event.insurance.value}
                await connection.upsert(fund_account, [row])
            case f.FundAccountDeposited():
                await _deposited(connection, event)
            case f.PaymentDocumentLines():
                await _drawn(connection, event)
            case f.VillageReconciliationSigned():
                await _signed(connection, event)
            case f.VillagePaymentsConfirmed():
                c = village_account.c
                await connection.execute(
                    sa.update(village_account)
                    .where(c.campaign == event.campaign, c.village == event.village)
                    .values(confirmed=c.confirmed + 1)
                )
            case f.WeeklyStatisticsCompiled():
                await connection.upsert(weekly_statistics, [_statistics(event, row) for row in event.rows])
            case _:
                await _document(connection, event)


async def _deposited(connection: Connection, event: f.FundAccountDeposited) -> None:
    c = fund_line.c
    if event.document_no:
        await connection.execute(
            sa.update(fund_line)
            .where(c.document_no == event.document_no)
            .values(deposit_no=event.deposit_no, deposited_on=event.date)
        )
        await connection.execute(
            sa.update(payment_document)
            .where(payment_document.c.document_no == event.document_no)
            .values(arrived=True)
        )
        return
    rows = [
        _line_row(event, line.line_id, line)
        | {
            "village": event.village or line.village,
            "source": event.source,
            "kind": event.kind,
            "deposit_no": event.deposit_no,
            "deposited_on": event.date,
        }
        for line in event.lines
    ]
    await connection.upsert(fund_line, rows)


def _line_row(event: Any, line_id: str, line: Any) -> dict[str, Any]:
    return {
        "line_key": line_key(line_id, event.year, event.insurance.value, line.person_id, line.payer),
        "campaign": event.campaign,
        "village": line.village,
        "insurance": event.insurance.value,
        "person_id": line.person_id,
        "payer": line.payer,
        "fen": line.fen,
        "document_no": "",
        "line_no": 0,
        "signed": False,
        "entered": False,
    }


async def _drawn(connection: Connection, event: f.PaymentDocumentLines) -> None:
    own = [line for line in event.lines if line.line_id]
    if own:
        change = sa.update(fund_line).where(fund_line.c.line_key == sa.bindparam("of_line"))
        await connection.execute(
            change.values(document_no=event.document_no, line_no=sa.bindparam("new_no"), signed=True),
            [{"of_line": line.line_id, "new_no": line.line_no} for line in own],
        )
    government = [
        _line_row(event, "", line)
        | {
            "source": event.document_no,
            "kind": "GOVERNMENT",
            "deposit_no": "",
            "deposited_on": None,
            "document_no": event.document_no,
            "line_no": line.line_no,
            "signed": True,
        }
        for line in event.lines
        if not line.line_id
    ]
    if government:
        await connection.upsert(fund_line, government)


async def _signed(connection: Connection, event: f.VillageReconciliationSigned) -> None:
    row = {"campaign": event.campaign, "village": event.village, "signatures": event.signature_no}
    await connection.upsert(village_account, [row])
    if event.to_return:
        await connection.execute(
            sa.update(fund_line).where(fund_line.c.line_key.in_(event.to_return)).values(signed=True)
        )


async def _entered(connection: Connection, events: Sequence[EnrolmentEnteredV1]) -> None:
    groups: dict[tuple[str, str], list[EnrolmentEnteredV1]] = {}
    for event in events:
        groups.setdefault((event.voucher_no, event.payer), []).append(event)
    c, d = fund_line.c, payment_document.c
    for (document_no, payer), members in groups.items():
        persons = [event.person_id for event in members]
        await connection.execute(
            sa.update(fund_line)
            .where(c.document_no == document_no, c.payer == payer, c.person_id.in_(persons))
            .values(entered=True)
        )
        await connection.execute(
            sa.update(payment_document)
            .where(d.document_no == document_no)
            .values(
                entered_count=d.entered_count + len(members),
                entered_fen=d.entered_fen + sum(event.fen for event in members),
            )
        )


async def _document(connection: Connection, event: Any) -> None:
    if isinstance(event, f.PaymentDocumentDrawn):
        await connection.upsert(payment_document, [_document_row(event)])
        return
    values: dict[str, Any] = {}
    match event:
        case f.CollectionSummaryFiled():
            values = {"state": "SUMMARISED", "summary_count": event.count, "summary_fen": event.fen}
            values["station"] = event.station
        case f.FiscalReceiptIssued():
            values = {"state": "RECEIPTED", "receipt_no": event.receipt_no}
        case f.FiscalAccountTransferred():
            values = {"state": "TRANSFERRED", "transferred_on": event.transferred_on}
        case f.PaymentDocumentsConfirmed():
            values = {"state": "CONFIRMED", "confirmed_on": event.confirmed_on}
        case f.BookingAcknowledged():
            values = {"acknowledged": True}
    change = sa.update(payment_document).where(payment_document.c.document_no == event.document_no)
    await connection.execute(change.values(**values))


def _document_row(event: f.PaymentDocumentDrawn) -> dict[str, Any]:
    return {
        "document_no": event.document_no,
        "campaign": event.campaign,
        "village": event.village,
        "insurance": event.insurance.value,
        "year": event.year,
        "source": event.source,
        "origin": event.origin,
        "station": event.station,
        "count": event.count,
        "fen": event.fen,
        "arrived": event.source != "GOVERNMENT",
        "state": "DRAWN",
        "entered_count": 0,
        "entered_fen": 0,
        "summary_count": 0,
        "summary_fen": 0,
        "receipt_no": "",
        "transferred_on": None,
        "confirmed_on": None,
        "acknowledged": False,
    }


def _statistics(event: f.WeeklyStatisticsCompiled, row: f.StatisticsRow) -> dict[str, Any]:
    fields = msgspec.structs.asdict(row) | {"insurance": row.insurance.value}
    return {"campaign": event.campaign, "date": event.date, **fields}
