"""Reads of payments, and the facts other capabilities decide with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from services.collection.payments.orders import CASH
from services.collection.payments.projection import payment_campaign, payment_line, payment_receipt
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.insurance import Insurance


class CampaignYears:
    """Ids of the campaigns of insured years, kept in memory: they only ever become more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, tuple[str, ...]] = {}

    def known(self, years: frozenset[int]) -> Sequence[str] | None:
        """Campaign ids, sorted, as far as memory knows; None when a year has none there."""
        known = self._known
        if all(known.get(year) for year in years):
            return [campaign for year in sorted(years) for campaign in known[year]]
        return None

    async def of_years(self, years: frozenset[int], *, fresh: bool = False) -> Sequence[str]:
        """Campaign ids, sorted. ``fresh``, or a year without any: read again."""
        known = None if fresh else self.known(years)
        if known is not None:
            return known
        async with self._database.read() as connection:
            return await self.read(connection, years)

    async def read(self, connection: Connection, years: frozenset[int]) -> Sequence[str]:
        """Campaign ids of the years as they are now, on a transaction that is open already."""
        rows = await connection.execute(
            sa.select(payment_campaign.c.year, payment_campaign.c.campaign)
            .where(payment_campaign.c.year.in_(sorted(years)))
            .order_by(payment_campaign.c.campaign)
        )
        for year in years:
            self._known[year] = tuple(campaign for found, campaign in rows if found == year)
        return [campaign for year in sorted(years) for campaign in self._known[year]]


@dataclass(frozen=True, slots=True)
class Taking:
    """One line of cash an agent holds."""

    line_id: str
    insurance: Insurance
    fen: int
    standing: str


class TakingFacts:
    """Cash an agent took on a day and settles himself.

    Key (campaign, agent_id, date) -> tuple[Taking, ...], whatever their standing: cash taken is cash taken.
    """

    name = "takings"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """One query per campaign's day: lines of a day stand together, those of an agent in no index."""
        days: dict[tuple[str, dt.date], list[str]] = {}
        for key in keys:
            campaign, agent_id, day = cast("tuple[str, str, dt.date]", key)
            days.setdefault((campaign, day), []).append(agent_id)
        found: dict[Any, list[Taking]] = {key: [] for key in keys}
        c = payment_line.c
        for (campaign, day), agents in days.items():
            rows = await connection.execute(
                sa.select(c.agent_id, c.line_id, c.insurance, c.fen, c.standing)
                .where(c.campaign == campaign, c.channel == CASH, c.paid_on == day, c.agent_id.in_(agents))
                .order_by(c.line_id)
            )
            for row in rows:
                found[campaign, row[0], day].append(Taking(row[1], Insurance(row[2]), row[3], row[4]))
        return {key: tuple(lines) for key, lines in found.items()}


async def cash_days(
    connection: Connection, first: dt.date, last: dt.date
) -> Mapping[tuple[str, str, dt.date], Mapping[str, tuple[int, int]]]:
    """(campaign, agent, date) with cash in it -> insurance -> (lines, fen), in order of date, campaign, agent."""
    c = payment_line.c
    keys = (c.paid_on, c.campaign, c.agent_id, c.insurance)
    rows = await connection.execute(
        sa.select(*keys, sa.func.count(), sa.cast(sa.func.sum(c.fen), sa.BigInteger))
        .where(c.channel == CASH, c.paid_on >= first, c.paid_on <= last)
        .group_by(*keys)
        .order_by(*keys)
    )
    found: dict[tuple[str, str, dt.date], dict[str, tuple[int, int]]] = {}
    for day, campaign, agent_id, insurance, count, fen in rows:
        found.setdefault((campaign, agent_id, day), {})[insurance] = (int(count), int(fen))
    return found


async def channel_lines(
    connection: Connection, campaign: str, channel: str, day: dt.date
) -> Sequence[tuple[str, Insurance, int]]:
    """(line, insurance, fen) our streams have for a channel's day."""
    c = payment_line.c
    rows = await connection.execute(
        sa.select(c.line_id, c.insurance, c.fen)
        .where(c.campaign == campaign, c.channel == channel, c.paid_on == day)
        .order_by(c.line_id)
    )
    return [(row[0], Insurance(row[1]), row[2]) for row in rows]


async def lines_of_payments(connection: Connection, payment_ids: Sequence[str]) -> list[Row]:
    """(payment_id, line_id, person_id, insurance, year, fen, standing) of orders, those known."""
    c = payment_line.c
    columns = (c.payment_id, c.line_id, c.person_id, c.insurance, c.year, c.fen, c.standing)
    found: list[Row] = []
    for start in range(0, len(payment_ids), 1000):
        wanted = list(payment_ids[start : start + 1000])
        found += await connection.execute(sa.select(*columns).where(c.payment_id.in_(wanted)))
    return found


async def line_details(connection: Connection, line_ids: Sequence[str]) -> Mapping[str, Row]:
    """Rows of ``payment_line`` by line id."""
    found: dict[str, Row] = {}
    for start in range(0, len(line_ids), 500):
        wanted = list(line_ids[start : start + 500])
        rows = await connection.execute(sa.select(payment_line).where(payment_line.c.line_id.in_(wanted)))
        found |= {row.line_id: row for row in rows}
    return found


async def line_by_id(database: Database, line_id: str) -> Row | None:
    """A line of ``payment_line``."""
    async with database.read() as connection:
        rows = await connection.execute(sa.select(payment_line).where(payment_line.c.line_id == line_id))
    return rows[0] if rows else None


def lines_statement(
    campaign: str = "",
    village: str = "",
    channel: str = "",
    agent_id: str = "",
    standing: str = "",
    person_id: str = "",
    paid_on: dt.date | None = None,
) -> sa.Select[Any]:
    """Lines filtered by what is given."""
    c = payment_line.c
    wanted = {
        c.campaign: campaign,
        c.village: village,
        c.channel: channel,
        c.agent_id: agent_id,
        c.standing: standing,
        c.person_id: person_id,
    }
    statement = sa.select(payment_line).where(*(column == value for column, value in wanted.items() if value))
    return statement if paid_on is None else statement.where(c.paid_on == paid_on)


async def village_cash(connection: Connection, campaign: str, village: str) -> Sequence[tuple[str, int]]:
    """(line, fen) of the cash taken in a village and not paid back, whatever its standing."""
    c = payment_line.c
    rows = await connection.execute(
        sa.select(c.line_id, c.fen).where(
            c.campaign == campaign, c.village == village, c.channel == CASH, c.standing != "REFUNDED"
        )
    )
    return [(row[0], row[1]) for row in rows]


async def received_totals(connection: Connection, campaign: str) -> Sequence[tuple[str, str, int, int]]:
    """(village, insurance, count, fen) of a campaign's effective payments."""
    c = payment_line.c
    rows = await connection.execute(
        sa.select(c.village, c.insurance, sa.func.count(), sa.func.sum(c.fen))
        .where(c.campaign == campaign, c.standing == "EFFECTIVE")
        .group_by(c.village, c.insurance)
    )
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in rows]


async def forms_of_book(connection: Connection, book_no: str) -> Sequence[tuple[str, str]]:
    """(serial, status) of the forms of a book that were issued or voided."""
    c = payment_receipt.c
    rows = await connection.execute(sa.select(c.serial_no, c.status).where(c.book_no == book_no))
    return [(row[0], row[1]) for row in rows]
