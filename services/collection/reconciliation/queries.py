"""Where the money is, what is unaccounted for, and what a reconciliation looks at."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from services.collection.reconciliation.domain import (
    REGISTRATION,
    TAX,
    TREASURY,
    Snapshot,
    Total,
    VillageBook,
    VoucherBook,
)
from services.collection.reconciliation.projection import (
    booking,
    money_line,
    open_difference,
    outside_book,
    reconciliation_day,
    three_way,
    voucher_book,
)
from shared.eventstore.database import Connection, Row
from shared.kernel.insurance import Insurance

ENTERED = ("ENTERED", "FISCAL_ACCOUNT", "CONFIRMED")
"""Stages of a line that is entered and not booked yet, where the plan has a data entry (000:L270-276)."""
IN_FUND_ACCOUNT = ("FUND_ACCOUNT", "RECONCILED", *ENTERED)
"""Stages of a line whose money lies in the agency's fund accounts."""

STATE = sa.case((money_line.c.standing == "EFFECTIVE", money_line.c.stage), else_=money_line.c.standing)
"""The one named state of a line's money."""


async def positions(connection: Connection, campaign: str) -> Sequence[Row]:
    """(village, insurance, date, channel, state, count, fen) of a campaign."""
    c = money_line.c
    keys = [c.village, c.insurance, c.date, c.channel, STATE.label("state")]
    return await connection.execute(
        sa.select(
            *keys, sa.func.count().label("count"), sa.cast(sa.func.sum(c.fen), sa.BigInteger).label("fen")
        )
        .where(c.campaign == campaign)
        .group_by(*keys[:4], STATE)
        .order_by(c.village, c.insurance, c.date, c.channel, STATE)
    )


async def stages(connection: Connection) -> Mapping[tuple[str, str], dict[str, int]]:
    """(campaign, insurance) -> state -> fen, of all campaigns."""
    c = money_line.c
    rows = await connection.execute(
        sa.select(c.campaign, c.insurance, STATE.label("state"), sa.func.sum(c.fen)).group_by(
            c.campaign, c.insurance, STATE
        )
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for campaign, insurance, state, fen in rows:
        found.setdefault((campaign, insurance), {})[state.lower()] = int(fen)
    return found


@dataclass(frozen=True, slots=True)
class BookRow:
    """An outside book's day beside what our streams place; fen. difference is known and open."""

    campaign: str
    book: str
    channel: str
    insurance: str
    date: dt.date
    outside_fen: int
    placed_fen: int
    in_hand_fen: int
    difference_fen: int

    @property
    def unaccounted_fen(self) -> int:
        """What neither our streams nor a known difference explains.

        Money our streams still place with the taker (RECEIVED) is not expected outside yet.
        """
        gap = self.outside_fen - self.placed_fen - self.difference_fen
        return gap if gap >= 0 else -min(0, gap + self.in_hand_fen)


async def book_rows(connection: Connection, campaign: str = "") -> list[BookRow]:
    """Every day the outside told us of, compared."""
    b, m = outside_book.c, money_line.c
    keys = [m.campaign, m.book, m.insurance, m.date]
    hand = sa.case((m.stage == "RECEIVED", m.fen), else_=0)
    inside = sa.select(*keys, sa.func.sum(m.fen).label("placed"), sa.func.sum(hand).label("hand"))
    if campaign:
        inside = inside.where(m.campaign == campaign)
    placed = inside.group_by(*keys).subquery()
    joined = outside_book.outerjoin(
        placed,
        sa.and_(
            placed.c.campaign == b.campaign,
            placed.c.book == b.book,
            placed.c.insurance == b.insurance,
            placed.c.date == b.date,
        ),
    )
    statement = (
        sa.select(outside_book, placed.c.placed, placed.c.hand)
        .select_from(joined)
        .order_by(b.campaign, b.book, b.insurance, b.date)
    )
    if campaign:
        statement = statement.where(b.campaign == campaign)
    return [
        BookRow(
            row.campaign,
            row.book,
            row.channel,
            row.insurance,
            row.date,
            row.fen,
            int(row.placed or 0),
            int(row.hand or 0),
            row.open_diff_fen,
        )
        for row in await connection.execute(statement)
        if row.told or row.open_diff_fen
    ]


class SnapshotFacts:
    """Key (campaign, date) -> Snapshot of what entered the treasury that day."""

    name = "reconciliation-snapshots"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        found: dict[Any, Snapshot] = {}
        for key in keys:
            campaign, date = cast("tuple[str, dt.date]", key)
            found[key] = Snapshot(
                await _vouchers(connection, campaign, date, date),
                await _villages(connection, campaign),
                await _suspense(connection, campaign, date),
            )
        return found


async def _vouchers(
    connection: Connection, campaign: str, first: dt.date, last: dt.date
) -> tuple[VoucherBook, ...]:
    v = voucher_book.c
    booked = (
        sa.select(
            booking.c.voucher_no, sa.func.count().label("count"), sa.func.sum(booking.c.fen).label("fen")
        )
        .where(
            booking.c.voucher_no.in_(
                sa.select(v.voucher_no).where(v.campaign == campaign, v.treasury_date.between(first, last))
            )
        )
        .group_by(booking.c.voucher_no)
        .subquery()
    )
    rows = await connection.execute(
        sa.select(voucher_book, booked.c.count.label("booked_count"), booked.c.fen.label("booked_fen"))
        .select_from(voucher_book.outerjoin(booked, booked.c.voucher_no == v.voucher_no))
        .where(v.campaign == campaign, v.treasury_date.between(first, last))
        .order_by(v.voucher_no)
    )
    return tuple(
        VoucherBook(
            row.voucher_no,
            Insurance(row.insurance),
            (row.entered_count, row.entered_fen),
            (row.returned_count, row.returned_fen),
            (int(row.booked_count or 0), int(row.booked_fen or 0)),
            bool(row.acknowledged),
        )
        for row in rows
    )


async def _villages(connection: Connection, campaign: str) -> tuple[VillageBook, ...]:
    """Villages whose three sums agree and were not said to agree at this size before."""
    c, w = money_line.c, three_way.c
    arrived = c.stage.in_(("IN_TREASURY", "RETURNED", "BOOKED", *IN_FUND_ACCOUNT))
    entered = c.stage.in_(("BOOKED", *ENTERED))

    def total(condition: Any) -> list[Any]:
        return [
            sa.func.sum(sa.case((condition, 1), else_=0)),
            sa.func.sum(sa.case((condition, c.fen), else_=0)),
        ]

    rows = await connection.execute(
        sa.select(
            c.village, c.insurance, sa.func.count(), sa.func.sum(c.fen), *total(entered), *total(arrived)
        )
        .where(c.campaign == campaign, c.standing == "EFFECTIVE", c.payer == "person", c.village != "")
        .group_by(c.village, c.insurance)
        .order_by(c.village, c.insurance)
    )
    said = {
        (row.village, row.insurance): (row.count, row.fen)
        for row in await connection.execute(sa.select(three_way).where(w.campaign == campaign))
    }
    return tuple(
        VillageBook(
            row[0],
            Insurance(row[1]),
            (int(row[2]), int(row[3])),
            (int(row[4]), int(row[5])),
            (int(row[6]), int(row[7])),
        )
        for row in rows
        if said.get((row[0], row[1])) != (row[2], row[3])
    )


async def _suspense(
    connection: Connection, campaign: str, date: dt.date
) -> tuple[tuple[str, Insurance, int], ...]:
    c = money_line.c
    rows = await connection.execute(
        sa.select(c.line_id, c.insurance, c.fen)
        .where(c.campaign == campaign, c.date == date, c.standing == "UNIDENTIFIED")
        .order_by(c.line_id)
    )
    return tuple((row[0], Insurance(row[1]), row[2]) for row in rows)


def month_bounds(month: str) -> tuple[dt.date, dt.date]:
    """First and last day of ``YYYY-MM``. Raises ValueError."""
    first = dt.date.fromisoformat(f"{month}-01")
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


class MonthFacts:
    """Key (campaign, month) -> per insurance what tax, treasury and registration have for the month."""

    name = "reconciliation-months"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        found: dict[Any, dict[Insurance, dict[str, Total]]] = {}
        for key in keys:
            campaign, month = cast("tuple[str, str]", key)
            books = await _vouchers(connection, campaign, *month_bounds(month))
            found[key] = {
                insurance: {
                    TAX: _sum([b.returned for b in books if b.insurance is insurance]),
                    TREASURY: _sum([b.entered for b in books if b.insurance is insurance]),
                    REGISTRATION: _sum([b.booked for b in books if b.insurance is insurance]),
                }
                for insurance in Insurance
            }
        return found


def _sum(totals: Sequence[Total]) -> Total:
    return sum(count for count, _ in totals), sum(fen for _, fen in totals)


async def days_to_reconcile(connection: Connection, today: dt.date) -> Sequence[tuple[str, dt.date]]:
    """Days with money or treasury entries up to yesterday that never agreed or still have a difference."""
    v, m, d = voucher_book.c, money_line.c, reconciliation_day.c
    days: set[tuple[str, dt.date]] = set()
    agreed = sa.select(d.campaign).where(
        d.campaign == v.campaign,
        d.date == v.treasury_date,
        d.insurance == v.insurance,
        d.equal.is_(True),
        d.in_transit_fen == 0,
    )
    for statement in (
        sa.select(v.campaign, v.treasury_date)
        .distinct()
        .where(v.treasury_date < today, ~sa.exists(agreed.correlate(voucher_book))),
        sa.select(m.campaign, m.date)
        .distinct()
        .where(m.standing == "UNIDENTIFIED", m.campaign != "", m.date < today),
        sa.select(open_difference.c.campaign, open_difference.c.date)
        .distinct()
        .where(open_difference.c.date < today),
    ):
        days |= {(row[0], row[1]) for row in await connection.execute(statement)}
    campaigns = await connection.execute(sa.select(m.campaign).distinct().where(m.campaign != ""))
    yesterday = today - dt.timedelta(days=1)
    return sorted(days | {(row[0], yesterday) for row in campaigns})


async def differences(connection: Connection, campaign: str) -> Sequence[Row]:
    """Open differences of a campaign."""
    c = open_difference.c
    return await connection.execute(
        sa.select(open_difference).where(c.campaign == campaign).order_by(c.date, c.difference_id)
    )
