"""Reads of cover."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from services.registration.entitlements.projection import ENTITLEMENT, PAID_LINE
from shared.eventstore.database import Connection, Database

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


class PaidFacts:
    """Key (year, insurance, person) -> True when collection told of a payment that was not paid back."""

    name = "paid-lines"
    beside = False

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        wanted = cast("Sequence[tuple[int, str, str]]", keys)
        c = PAID_LINE.c
        rows = await connection.execute(
            sa.select(c.year, c.insurance, c.person_id).where(
                c.person_id.in_({key[2] for key in wanted}), c.refunded.is_(False)
            )
        )
        return {(row.year, row.insurance, row.person_id): True for row in rows}


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
