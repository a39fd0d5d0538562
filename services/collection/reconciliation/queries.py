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
from services.collection.reconciliation.tables import (
    LINES,
    STATE,
    UNIDENTIFIED,
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
from shared.eventstore.database import Connection, Row
from shared.kernel.insurance import Insurance
from shared.web.paging import placed_inside


async def positions(connection: Connection, campaign: str, divisions: Sequence[str] = ("",)) -> Sequence[Row]:
    """(village, insurance, date, channel, state, count, fen) of a campaign, as far as the divisions reach."""
    c = money_line.c
    keys = [c.village, c.insurance, c.date, c.channel, STATE.label("state")]
    return await connection.execute(
        sa.select(
            *keys, sa.func.count().label("count"), sa.cast(sa.func.sum(c.fen), sa.BigInteger).label("fen")
        )
        .select_from(LINES)
        .where(c.campaign == campaign, placed_inside(c.village, c.campaign, divisions))
        .group_by(*keys[:4], STATE)
        .order_by(c.village, c.insurance, c.date, c.channel, STATE)
    )


async def stages(connection: Connection) -> Mapping[tuple[str, str], dict[str, int]]:
    """(campaign, insurance) -> state -> fen, of all campaigns, from the sums kept with the lines."""
    v = money_voucher.c
    under_way = sa.select(v.campaign, v.insurance, v.stage, sa.func.sum(v.fen)).group_by(
        v.campaign, v.insurance, v.stage
    )
    s = money_sum.c
    found: dict[tuple[str, str], dict[str, int]] = {}
    for statement in (sa.select(s.campaign, s.insurance, s.state, s.fen), under_way):
        for campaign, insurance, state, fen in await connection.execute(statement):
            sums = found.setdefault((campaign, insurance), {})
            sums[state.lower()] = sums.get(state.lower(), 0) + int(fen)
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


def _placed_by_lines(campaign: str) -> sa.Subquery:
    """What the lines themselves say, book by book."""
    m = money_line.c
    keys = [m.campaign, m.book, m.insurance, m.date]
    hand = sa.case((m.stage == "RECEIVED", m.fen), else_=0)
    lines = sa.select(
        *keys, sa.func.sum(m.fen).label("placed_fen"), sa.func.sum(hand).label("hand_fen")
    ).group_by(*keys)
    return (lines.where(m.campaign == campaign) if campaign else lines).subquery()


async def book_rows(connection: Connection, campaign: str = "", *, kept_sums: bool = False) -> list[BookRow]:
    """Every day the outside told us of, or we placed beyond the taker, compared.

    Ours are the lines, or, kept_sums, the sums kept of them.
    """
    placed: sa.FromClause = money_book if kept_sums else _placed_by_lines(campaign)
    b, m = outside_book.c, placed.c
    same = sa.and_(m.campaign == b.campaign, m.book == b.book, m.insurance == b.insurance, m.date == b.date)
    told = (
        sa.select(outside_book, m.placed_fen.label("placed"), m.hand_fen.label("hand"))
        .select_from(outside_book.outerjoin(placed, same))
        .order_by(b.campaign, b.book, b.insurance, b.date)
    )
    untold = (
        sa.select(m.campaign, m.book, m.insurance, m.date, m.placed_fen, m.hand_fen)
        .select_from(placed.outerjoin(outside_book, same))
        .where(b.book.is_(None), m.book != "", m.placed_fen > m.hand_fen)
        .order_by(m.campaign, m.book, m.insurance, m.date)
    )
    if campaign:
        told, untold = told.where(b.campaign == campaign), untold.where(m.campaign == campaign)
    found = [
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
        for row in await connection.execute(told)
        if row.told or row.open_diff_fen
    ]
    return found + [
        BookRow(row[0], row[1], row[1], row[2], row[3], 0, int(row[4]), int(row[5]), 0)
        for row in await connection.execute(untold)
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
    rows = await connection.execute(
        sa.select(voucher_book)
        .where(v.campaign == campaign, v.treasury_date.between(first, last))
        .order_by(v.voucher_no)
    )
    return tuple(
        VoucherBook(
            row.voucher_no,
            Insurance(row.insurance),
            (row.entered_count, row.entered_fen),
            (row.returned_count, row.returned_fen),
            (row.booked_count, row.booked_fen),
            bool(row.acknowledged),
        )
        for row in rows
    )


async def _villages(connection: Connection, campaign: str) -> tuple[VillageBook, ...]:
    """Villages whose sums agree and were not said to agree at this size before.

    What is entered has arrived: when all that was collected is entered, the money is the third equal sum.
    """
    v, w = money_village.c, three_way.c
    said = sa.and_(
        w.campaign == v.campaign,
        w.village == v.village,
        w.insurance == v.insurance,
        w.count == v.collected_count,
        w.fen == v.collected_fen,
    )
    rows = await connection.execute(
        sa.select(v.village, v.insurance, v.collected_count, v.collected_fen)
        .where(
            v.campaign == campaign,
            v.collected_count > 0,
            v.collected_count == v.entered_count,
            v.collected_fen == v.entered_fen,
            ~sa.exists(sa.select(w.campaign).where(said).correlate(money_village)),
        )
        .order_by(v.village, v.insurance)
    )
    return tuple(
        VillageBook(row[0], Insurance(row[1]), (row[2], row[3]), (row[2], row[3]), (row[2], row[3]))
        for row in rows
    )


async def _suspense(
    connection: Connection, campaign: str, date: dt.date
) -> tuple[tuple[str, Insurance, int], ...]:
    c = money_line.c
    rows = await connection.execute(
        sa.select(c.line_id, c.insurance, c.fen)
        .where(c.campaign == campaign, c.date == date, UNIDENTIFIED)
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
    campaigns = await connection.execute(
        sa.select(money_sum.c.campaign).distinct().where(money_sum.c.campaign != "")
    )
    yesterday = today - dt.timedelta(days=1)
    return sorted(days | {(row[0], yesterday) for row in campaigns})


async def differences(connection: Connection, campaign: str) -> Sequence[Row]:
    """Open differences of a campaign."""
    c = open_difference.c
    return await connection.execute(
        sa.select(open_difference).where(c.campaign == campaign).order_by(c.date, c.difference_id)
    )
