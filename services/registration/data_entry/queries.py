"""Facts entries are decided with."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from services.registration.data_entry.domain import EntryLine
from services.registration.data_entry.projection import ENTRY_LINE
from shared.eventstore.database import Connection, Database

Key = tuple[int, str, str, str]
"""Year, insurance, person, payer."""


class EntryLineFacts:
    """Key (year, insurance, person, payer) -> EntryLine. One query a batch."""

    name = "entry-lines"
    beside = False

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        wanted = cast("Sequence[Key]", keys)
        c = ENTRY_LINE.c
        rows = await connection.execute(
            sa.select(ENTRY_LINE).where(
                c.year.in_({key[0] for key in wanted}), c.person_id.in_({key[2] for key in wanted})
            )
        )
        return {
            (row.year, row.insurance, row.person_id, row.payer): EntryLine(
                row.campaign, row.village, row.fen, row.deposit_no, row.document_no
            )
            for row in rows
        }


class EntryQueries:
    """GET /entries/summary."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def summary(self, campaign: str, village: str) -> list[dict[str, Any]]:
        """Legs that may be entered and those entered, per village, insurance and payer; ``village`` a prefix."""
        c = ENTRY_LINE.c
        entered = c.entered_on.is_not(None)
        statement = (
            sa.select(
                c.village,
                c.insurance,
                c.payer,
                sa.func.count().label("count"),
                sa.cast(sa.func.sum(c.fen), sa.BigInteger).label("fen"),
                sa.func.sum(sa.case((entered, 1), else_=0)).label("entered_count"),
                sa.cast(sa.func.sum(sa.case((entered, c.fen), else_=0)), sa.BigInteger).label("entered_fen"),
            )
            .where(
                c.campaign == campaign,
                c.document_no != "",
                c.village.startswith(village, autoescape=True),
            )
            .group_by(c.village, c.insurance, c.payer)
            .order_by(c.village, c.insurance, c.payer)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]
