"""Reads of funds and refund approvals."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.subsidy.funding.projection import approval_table, fund_table, leg_table
from shared.eventstore.database import Connection, Row


class SubmittedLegs:
    """True per (year, insurance, person) whose government leg stands in a government payment."""

    name = "submitted_legs"
    beside = False

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """One query per batch, by person."""
        wanted = {key for key in keys if isinstance(key, tuple)}
        rows = await connection.execute(
            sa.select(leg_table).where(
                leg_table.c.person_id.in_(sorted({key[2] for key in wanted})), leg_table.c.submitted
            )
        )
        found = {(row.year, row.insurance, row.person_id) for row in rows}
        return dict.fromkeys(wanted & found, True)


async def legs(connection: Connection, year: int, insurance: str) -> tuple[frozenset[str], dict[str, int]]:
    """(persons whose leg of this year and insurance stands submitted, how often legs came back per person)."""
    rows = await connection.execute(
        sa.select(leg_table.c.person_id, leg_table.c.submitted, leg_table.c.returned).where(
            leg_table.c.year == year, leg_table.c.insurance == insurance
        )
    )
    standing = frozenset(row.person_id for row in rows if row.submitted)
    return standing, {row.person_id: int(row.returned) for row in rows if row.returned}


def funds(campaign: str) -> sa.Select[Any]:
    """Funds of a campaign (empty: all)."""
    statement = sa.select(fund_table)
    return statement.where(fund_table.c.campaign == campaign) if campaign else statement


def approvals(state: str) -> sa.Select[Any]:
    """Refund approvals by state (empty: all)."""
    statement = sa.select(approval_table)
    return statement.where(approval_table.c.state == state) if state else statement


async def approval(connection: Connection, refund_no: str) -> Row | None:
    """One refund approval."""
    rows = await connection.execute(sa.select(approval_table).where(approval_table.c.refund_no == refund_no))
    return rows[0] if rows else None
