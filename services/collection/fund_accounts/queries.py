"""Reads of fund accounts, and the facts their decisions ask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from services.collection.fund_accounts.domain import AGENT, CHANNEL, ArrivedLine, VillageBooks
from services.collection.fund_accounts.events import DocumentLine, StatisticsRow
from services.collection.fund_accounts.projection import (
    fund_account,
    fund_line,
    payment_document,
    village_account,
)
from services.collection.fund_accounts.stream import movement_of
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.insurance import Insurance

LineDetails = Callable[[Connection, Sequence[str]], Awaitable[Mapping[str, Row]]]
"""Payments' rows by line id: person_id, village, insurance, fen, standing, receipt, paid_at, assessed terms."""

VillageCash = Callable[[Connection, str, str], Awaitable[Sequence[tuple[str, int]]]]
"""(line, fen) of the cash taken in a village of a campaign and not paid back."""

ReceivedTotals = Callable[[Connection, str], Awaitable[Sequence[tuple[str, str, int, int]]]]
"""(village, insurance, count, fen) of a campaign's effective payments."""


class FundAccountFacts:
    """Key campaign -> {(insurance, kind): account reference}; a campaign without accounts is absent."""

    name = "fund-accounts"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = fund_account.c
        rows = await connection.execute(sa.select(fund_account).where(c.campaign.in_(keys)))
        found: dict[str, dict[tuple[Insurance, str], str]] = {}
        for row in rows:
            found.setdefault(row.campaign, {})[Insurance(row.insurance), row.kind] = row.account_ref
        return found


class EnteredFacts:
    """Key document number -> {(person, payer)} of its lines that registration has entered."""

    name = "entered-lines"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = fund_line.c
        rows = await connection.execute(
            sa.select(c.document_no, c.person_id, c.payer).where(c.document_no.in_(keys), c.entered.is_(True))
        )
        found: dict[str, set[tuple[str, str]]] = {str(key): set() for key in keys}
        for document_no, person_id, payer in rows:
            found[document_no].add((person_id, payer))
        return found


class VillageBooksFacts:
    """Key (campaign, village) -> VillageBooks: what was deposited and not signed for, and cash in hand."""

    name = "village-books"

    def __init__(
        self, details: LineDetails, cash: VillageCash, discrepancies: FactSource, claims: FactSource
    ) -> None:
        self._details = details
        self._cash = cash
        self._claims = claims
        self._discrepancies = discrepancies

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        still_open = await self._discrepancies.load(connection, keys)
        found: dict[Any, VillageBooks] = {}
        for key in keys:
            campaign, village = cast("tuple[str, str]", key)
            c = fund_line.c
            rows = await connection.execute(
                sa.select(c.line_key, c.document_no, c.signed)
                .where(c.campaign == campaign, c.kind == AGENT, c.village == village)
                .order_by(c.insurance, c.line_key)
            )
            deposited = {row.line_key for row in rows}
            taken = await self._cash(connection, campaign, village)
            in_hand = sum(fen for line_id, fen in taken if line_id not in deposited)
            waiting = {row.line_key: row.signed for row in rows if not row.document_no}
            lines = await self._lines(connection, waiting)
            found[key] = VillageBooks(lines, in_hand, still_open.get(key, 0))
        return found

    async def _lines(self, connection: Connection, waiting: Mapping[str, bool]) -> tuple[ArrivedLine, ...]:
        details = await self._details(connection, list(waiting))
        claimed = await self._claims.load(connection, list(waiting))
        found = []
        for line_id, signed in waiting.items():
            row = details.get(line_id)
            if row is None:
                continue
            effective = row.standing == "EFFECTIVE" and line_id not in claimed
            if effective or not signed:
                found.append(
                    ArrivedLine(Insurance(row.insurance), document_line(row), effective, row.receipt)
                )
        return tuple(found)


def document_line(row: Row) -> DocumentLine:
    """A person's leg from payments' row, not numbered yet."""
    return DocumentLine(
        0, row.line_id, row.person_id, row.village, "person", row.fen, row.standard_fen, row.paid_at,
        row.tier_yuan, row.special_assessment_no,
    )  # fmt: skip


class ChannelLinesFacts:
    """Key (campaign, channel) -> {insurance: effective deposited lines that stand in no document}."""

    name = "channel-fund-lines"

    def __init__(self, details: LineDetails, claims: FactSource) -> None:
        self._details = details
        self._claims = claims

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        found: dict[Any, dict[Insurance, list[DocumentLine]]] = {}
        for key in keys:
            campaign, channel = cast("tuple[str, str]", key)
            c = fund_line.c
            rows = await connection.execute(
                sa.select(c.line_key)
                .where(c.campaign == campaign, c.kind == CHANNEL, c.source == channel, c.document_no == "")
                .order_by(c.insurance, c.line_key)
            )
            ids = [row.line_key for row in rows]
            details = await self._details(connection, ids)
            claimed = await self._claims.load(connection, ids)
            mine: dict[Insurance, list[DocumentLine]] = {}
            for row in rows:
                detail = details.get(row.line_key)
                effective = detail is not None and detail.standing == "EFFECTIVE"
                if detail is not None and effective and row.line_key not in claimed:
                    mine.setdefault(Insurance(detail.insurance), []).append(document_line(detail))
            found[key] = mine
        return found


async def next_signature(database: Database, campaign: str, village: str) -> int:
    """Number of the village's next signature."""
    c = village_account.c
    async with database.read() as connection:
        rows = await connection.execute(
            sa.select(c.signatures).where(c.campaign == campaign, c.village == village)
        )
    return int(rows[0][0]) + 1 if rows else 1


async def next_channel_documents(database: Database, campaign: str, channel: str) -> dict[Insurance, int]:
    """Number of the channel's next document, per insurance."""
    c = payment_document.c
    async with database.read() as connection:
        rows = await connection.execute(
            sa.select(c.insurance, sa.func.count())
            .where(c.campaign == campaign, c.source == CHANNEL, c.origin == channel)
            .group_by(c.insurance)
        )
    known = {insurance: int(count) for insurance, count in rows}
    return {insurance: known.get(insurance.value, 0) + 1 for insurance in Insurance}


class FundStages:
    """Key payment line id -> where its money is, in the words refunds ask for; what treasury says where it is
    not deposited in a fund account."""

    name = "fund-stages"

    def __init__(self, treasury: FactSource) -> None:
        self._treasury = treasury

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = fund_line.c
        joined = fund_line.join(payment_document, payment_document.c.document_no == c.document_no)
        rows = await connection.execute(
            sa.select(c.line_key, payment_document.c.state).select_from(joined).where(c.line_key.in_(keys))
        )
        known = await self._treasury.load(connection, keys)
        return {**known, **{line_id: movement_of(state) for line_id, state in rows}}


def documents_statement(campaign: str, village: str, state: str, source: str) -> sa.Select[Any]:
    """Documents filtered by what is given."""
    c = payment_document.c
    wanted = {c.campaign: campaign, c.village: village, c.state: state, c.source: source}
    return sa.select(payment_document).where(*(column == value for column, value in wanted.items() if value))


class StatisticsFacts:
    """Key (campaign, date) -> rows of 收、录、钱 as they stand now, by village and insurance."""

    name = "weekly-statistics"

    def __init__(self, received: ReceivedTotals) -> None:
        self._received = received

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        found: dict[Any, tuple[StatisticsRow, ...]] = {}
        for key in keys:
            campaign, _ = cast("tuple[str, dt.date]", key)
            found[key] = await self._rows(connection, campaign)
        return found

    async def _rows(self, connection: Connection, campaign: str) -> tuple[StatisticsRow, ...]:
        c = fund_line.c
        subsidised = c.kind == "GOVERNMENT"
        received: dict[tuple[str, str, bool], tuple[int, int]] = {
            (village, insurance, False): (count, fen)
            for village, insurance, count, fen in await self._received(connection, campaign)
        }
        entered: dict[tuple[str, str, bool], tuple[int, int]] = {}
        money: dict[tuple[str, str, bool], tuple[int, int]] = {}
        rows = await connection.execute(
            sa.select(
                c.village, c.insurance, subsidised.label("subsidised"), sa.func.count(), sa.func.sum(c.fen),
                *_total(c.entered.is_(True)), *_total(c.deposit_no != ""),
            )
            .where(c.campaign == campaign, sa.or_(c.document_no != "", c.signed.is_(False)))
            .group_by(c.village, c.insurance, subsidised)
        )  # fmt: skip
        for village, insurance, government, count, fen, *sums in rows:
            place = (village, insurance, bool(government))
            if government:
                received[place] = (int(count), int(fen))
            entered[place] = (int(sums[0]), int(sums[1]))
            money[place] = (int(sums[2]), int(sums[3]))
        nothing = (0, 0)
        return tuple(
            StatisticsRow(
                village,
                Insurance(insurance),
                government,
                *received.get((village, insurance, government), nothing),
                *entered.get((village, insurance, government), nothing),
                *money.get((village, insurance, government), nothing),
            )
            for village, insurance, government in sorted({*received, *entered, *money})
        )


def _total(condition: Any) -> list[Any]:
    return [
        sa.func.sum(sa.case((condition, 1), else_=0)),
        sa.func.sum(sa.case((condition, fund_line.c.fen), else_=0)),
    ]
