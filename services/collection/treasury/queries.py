"""Reads of the treasury, and the facts declarations and stamps are decided with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from services.collection.treasury.domain import DeclaredLine
from services.collection.treasury.events import VoucherLine
from services.collection.treasury.projection import (
    DECLARED,
    WAITING,
    declaration,
    government_leg,
    treasury_line,
    voucher,
)
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Connection, Database, Row
from shared.eventstore.log import Log
from shared.kernel.insurance import Insurance

LINE_CLAIM = "vouchered"
"""Guard of a payment line: the voucher, or the refund before any voucher, that moves its money once."""

LineDetails = Callable[[Connection, Sequence[str]], Awaitable[Mapping[str, Row]]]
"""Payments' rows by line id: person_id, village, insurance, fen, standing, paid_at and the assessed terms."""


def voucher_line(row: Row) -> VoucherLine:
    """A personal leg from payments' row."""
    return VoucherLine(
        row.line_id,
        row.person_id,
        row.village,
        "person",
        row.fen,
        row.standard_fen,
        row.paid_at,
        row.tier_yuan,
        row.special_assessment_no,
    )


class DeclarableLines:
    """Key (campaign, village) -> settled effective lines of its agents that no declaration holds."""

    name = "declarable-lines"

    def __init__(self, details: LineDetails, rosters: FactSource) -> None:
        self._details = details
        self._rosters = rosters

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = treasury_line.c
        found: dict[Any, tuple[DeclaredLine, ...]] = {}
        for key in keys:
            campaign, village = cast("tuple[str, str]", key)
            rows = await connection.execute(
                sa.select(c.line_id)
                .where(
                    c.campaign == campaign,
                    c.village == village,
                    c.kind == "AGENT",
                    WAITING,
                    c.declaration_no == "",
                )
                .order_by(c.line_id)
            )
            found[key] = await self._lines(connection, campaign, [row[0] for row in rows])
        return found

    async def _lines(
        self, connection: Connection, campaign: str, ids: Sequence[str]
    ) -> tuple[DeclaredLine, ...]:
        details = await self._details(connection, ids)
        effective = [
            details[each] for each in ids if each in details and details[each].standing == "EFFECTIVE"
        ]
        keys = [(campaign, Insurance(row.insurance), row.person_id) for row in effective]
        listed = await self._rosters.load(connection, keys)
        return tuple(
            DeclaredLine(Insurance(row.insurance), voucher_line(row), key in listed)
            for row, key in zip(effective, keys, strict=True)
        )


@dataclass(frozen=True, slots=True)
class VillageVouchers:
    """The vouchers of a village's declarations: how many, how many are in treasury, what they hold."""

    vouchers: int
    in_treasury: int
    count: int
    fen: int

    @property
    def all_in_treasury(self) -> bool:
        """True when there are some and all have arrived: the roster may be stamped (D-10)."""
        return self.vouchers > 0 and self.vouchers == self.in_treasury


class VillageVoucherFacts:
    """Key (campaign, village) -> VillageVouchers."""

    name = "village-vouchers"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = voucher.c
        found: dict[Any, VillageVouchers] = {}
        arrived = sa.case((c.state == "IN_TREASURY", 1), else_=0)
        for key in keys:
            campaign, village = cast("tuple[str, str]", key)
            rows = await connection.execute(
                sa.select(
                    sa.func.count(),
                    sa.func.coalesce(sa.func.sum(arrived), 0),
                    sa.func.coalesce(sa.func.sum(c.count), 0),
                    sa.func.coalesce(sa.func.sum(c.fen), 0),
                ).where(c.campaign == campaign, c.village == village, c.source == "DECLARATION")
            )
            found[key] = VillageVouchers(*(int(value) for value in rows[0]))
        return found


async def next_declaration(database: Database, campaign: str, village: str) -> int:
    """Sequence number of the village's next declaration."""
    c = declaration.c
    async with database.read() as connection:
        rows = await connection.execute(
            sa.select(sa.func.count())
            .select_from(declaration)
            .where(c.campaign == campaign, c.village == village)
        )
    return int(rows[0][0]) + 1


async def settled_channel_lines(
    connection: Connection,
    details: LineDetails,
    *,
    campaign: str = "",
    source: str = "",
    date: Any = None,
    insurance: str = "",
    batch: int = 0,
) -> Mapping[tuple[str, str, Any, str], list[VoucherLine]]:
    """Effective channel lines without a voucher, by (campaign, channel, date, insurance)."""
    c = treasury_line.c
    wanted: dict[Any, Any] = {
        c.campaign: campaign,
        c.source: source,
        c.date: date,
        c.insurance: insurance,
        c.batch: batch,
    }
    where = [column == value for column, value in wanted.items() if value]
    rows = await connection.execute(
        sa.select(c.line_id, c.campaign, c.source, c.date, c.insurance)
        .where(c.kind == "CHANNEL", WAITING, *where)
        .order_by(c.line_id)
    )
    known = await details(connection, [row.line_id for row in rows])
    found: dict[tuple[str, str, Any, str], list[VoucherLine]] = {}
    for row in rows:
        detail = known.get(row.line_id)
        if detail is not None and detail.standing == "EFFECTIVE":
            key = (row.campaign, row.source, row.date, row.insurance)
            found.setdefault(key, []).append(voucher_line(detail))
    return found


async def declared_lines(connection: Connection, declaration_no: str) -> list[str]:
    """Line ids of a declaration."""
    c = treasury_line.c
    rows = await connection.execute(sa.select(c.line_id).where(DECLARED, c.declaration_no == declaration_no))
    return [row[0] for row in rows]


class LineClaims:
    """Key payment line id -> the voucher, or the refund, that moves its money; absent: nobody yet."""

    name = "line-claims"

    def __init__(self, log: Log) -> None:
        self._log = log

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        return await self._log.guard_holders(LINE_CLAIM, cast("Sequence[str]", keys))


async def legs_assessed(
    connection: Connection, year: int, insurance: Insurance, persons: Sequence[str]
) -> Mapping[tuple[str, str], int]:
    """(person, payer) -> fen of assessed government legs, as far as the read model knows."""
    c = government_leg.c
    rows = await connection.execute(
        sa.select(c.person_id, c.payer, c.fen).where(
            c.year == year, c.insurance == insurance.value, c.person_id.in_(list(persons))
        )
    )
    return {(row.person_id, row.payer): row.fen for row in rows}


def vouchers_statement(
    campaign: str, village: str, state: str, source: str, insurance: str
) -> sa.Select[Any]:
    """Vouchers filtered by what is given."""
    c = voucher.c
    wanted = {
        c.campaign: campaign,
        c.village: village,
        c.state: state,
        c.source: source,
        c.insurance: insurance,
    }
    return sa.select(voucher).where(*(column == value for column, value in wanted.items() if value))


class LineStages:
    """Key payment line id -> where its money is: SETTLED, DECLARED, or its voucher's state; absent: not settled."""

    name = "line-stages"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = treasury_line.c
        rows = await connection.execute(
            sa.select(c.line_id, c.declaration_no, voucher.c.state)
            .select_from(treasury_line.outerjoin(voucher, voucher.c.voucher_no == c.voucher_no))
            .where(c.line_id.in_(keys))
        )
        return {row[0]: row[2] or ("DECLARED" if row[1] else "SETTLED") for row in rows}
