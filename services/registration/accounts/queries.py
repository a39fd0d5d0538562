"""Reads of bookkeeping."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.registration.accounts.domain import Heads
from services.registration.accounts.projection import ACCOUNT_ENTRY, BOOKING_TOTAL, FISCAL_TOTAL
from shared.eventstore.database import Database


class AccountQueries:
    """GET /people/{id}/account, /bookings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account(self, person_id: str) -> dict[str, Any]:
        """Entries in order and their sum; an empty account for someone never credited."""
        table = ACCOUNT_ENTRY.c
        statement = (
            sa.select(table.year, table.kind, table.fen, table.credited_on, table.interest_from)
            .where(table.person_id == person_id)
            .order_by(table.position)
        )
        async with self._database.read() as connection:
            entries = [dict(row._mapping) for row in await connection.execute(statement)]
        return {
            "person_id": person_id,
            "balance_fen": sum(entry["fen"] for entry in entries),
            "entries": entries,
        }

    async def totals(self, campaign: str, village: str) -> list[dict[str, Any]]:
        """Booked lines and fen of a campaign per village, insurance and day; ``village`` may be a prefix."""
        table = BOOKING_TOTAL.c
        statement = (
            sa.select(BOOKING_TOTAL)
            .where(table.campaign == campaign, table.village.startswith(village, autoescape=True))
            .order_by(table.village, table.insurance, table.date)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]

    async def heads(self, division: str, year: int) -> Heads:
        """Booked heads and credited subsidies of a division and year (D-45)."""
        table = FISCAL_TOTAL.c
        statement = (
            sa.select(table.kind, sa.func.sum(table.heads), sa.func.sum(table.fen))
            .where(table.year == year, table.village.startswith(division, autoescape=True))
            .group_by(table.kind)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
        found = {row[0]: (int(row[1]), int(row[2])) for row in rows}
        nothing = (0, 0)
        return Heads(
            found.get("MEDICAL", nothing)[0],
            found.get("MEDICAL_SPECIAL", nothing)[0],
            found.get("MATCHING", nothing),
            found.get("FAMILY_PLANNING", nothing),
        )
