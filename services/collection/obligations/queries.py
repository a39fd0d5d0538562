"""Reads of obligations, for routes and, through ``app.py``, for sibling capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from services.collection.obligations.projection import OBLIGATION
from shared.eventstore.database import Connection
from shared.kernel.insurance import Insurance


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
