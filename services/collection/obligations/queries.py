"""Reads of obligations, for routes and, through ``app.py``, for sibling capabilities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.obligations.projection import OBLIGATION
from shared.eventstore.database import Connection, Row
from shared.kernel.insurance import Insurance, Leg

_legs = msgspec.json.Decoder(list[Leg])


@dataclass(frozen=True, slots=True)
class OwedLine:
    """An assessed obligation as a roster needs it; amounts in fen."""

    person_id: str
    insurance: Insurance
    standard_fen: int
    personal_fen: int
    category: str
    version: int
    paid: bool


async def assessed_in_village(connection: Connection, campaign: str, village: str) -> Sequence[OwedLine]:
    """Assessed obligations of a village, by person and insurance; the refused ones are left out."""
    c = OBLIGATION.c
    rows = await connection.execute(
        sa.select(
            c.person_id, c.insurance, c.standard_fen, c.personal_fen, c.category, c.version, c.paid_standing
        )
        .where(c.campaign == campaign, c.village == village, c.assessment_id != "")
        .order_by(c.person_id, c.insurance)
    )
    return [
        OwedLine(
            row.person_id,
            Insurance(row.insurance),
            row.standard_fen,
            row.personal_fen,
            row.category,
            row.version,
            row.paid_standing == "EFFECTIVE",
        )
        for row in rows
    ]


async def paid_in_village(connection: Connection, campaign: str, village: str) -> tuple[int, int]:
    """Number and fen of the effective payments of a village."""
    c = OBLIGATION.c
    rows = await connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(c.paid_fen), 0)).where(
            c.campaign == campaign, c.village == village, c.paid_standing == "EFFECTIVE"
        )
    )
    return int(rows[0][0]), int(rows[0][1])


async def payers_of_year(connection: Connection, village: str, year: int) -> Sequence[tuple[str, Insurance]]:
    """Who paid, or was paid for, in a village for an insured year: last year's history (D-12)."""
    c = OBLIGATION.c
    rows = await connection.execute(
        sa.select(c.person_id, c.insurance)
        .where(
            c.year == year,
            c.village == village,
            c.assessment_id != "",
            sa.or_(c.paid_standing == "EFFECTIVE", c.personal_fen == 0),
        )
        .order_by(c.person_id, c.insurance)
    )
    return [(row.person_id, Insurance(row.insurance)) for row in rows]


def obligations_statement(
    campaign: str, village: str | None, insurance: str | None, person_id: str | None
) -> sa.Select[Any]:
    """Rows of ``GET /obligations``, to be paged by (insurance, person_id)."""
    c = OBLIGATION.c
    statement = sa.select(OBLIGATION).where(c.campaign == campaign)
    if village is not None:
        statement = statement.where(c.village.startswith(village, autoescape=True))
    if insurance is not None:
        statement = statement.where(c.insurance == insurance)
    if person_id is not None:
        statement = statement.where(c.person_id == person_id)
    return statement


def obligation_view(row: Row) -> dict[str, Any]:
    """One item of ``GET /obligations``."""
    return {
        "person_id": row.person_id,
        "insurance": row.insurance,
        "year": row.year,
        "campaign": row.campaign,
        "village": row.village,
        "assessment_id": row.assessment_id,
        "version": row.version,
        "standard_fen": row.standard_fen,
        "personal_fen": row.personal_fen,
        "government_fen": row.government_fen,
        "legs": msgspec.to_builtins(_legs.decode(row.legs)),
        "matching_subsidy_fen": row.matching_subsidy_fen,
        "category": row.category,
        "tier_yuan": row.tier_yuan,
        "refused": row.refused,
        "hold_until": row.hold_until,
        "paid": row.paid_standing == "EFFECTIVE",
        "paid_standing": row.paid_standing or "",
        "paid_fen": row.paid_fen or 0,
        "paid_at": _moment(row.paid_at),
        "paid_channel": row.paid_channel or "",
    }


def _moment(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
