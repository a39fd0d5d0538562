"""Reads of cover."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.registration.entitlements.projection import ENTITLEMENT, PAID_LINE
from shared.eventstore.database import Database

_p = PAID_LINE.c
_PAID = (
    _p.line_id,
    _p.person_id,
    _p.insurance,
    _p.year,
    _p.fen,
    _p.paid_on,
    sa.case((_p.refunded, "REFUNDED"), (_p.booked, "BOOKED"), else_="PAID").label("status"),
)


class EntitlementQueries:
    """GET /people/{id}/entitlements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, person_id: str) -> dict[str, Any]:
        """Cover per year, and payments with how far they have come."""
        cover = (
            sa.select(ENTITLEMENT)
            .where(ENTITLEMENT.c.person_id == person_id)
            .order_by(ENTITLEMENT.c.year.desc())
        )
        paid = (
            sa.select(*_PAID)
            .where(PAID_LINE.c.person_id == person_id)
            .order_by(PAID_LINE.c.year.desc(), PAID_LINE.c.insurance, PAID_LINE.c.line_id)
        )
        async with self._database.read() as connection:
            return {
                "person_id": person_id,
                "medical": [_without(row) for row in await connection.execute(cover)],
                "payments": [_without(row) for row in await connection.execute(paid)],
            }


def _without(row: sa.Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "person_id"}
