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

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """One query per batch, by person."""
        wanted = {key for key in keys if isinstance(key, tuple)}
        rows = await connection.execute(
            sa.select(leg_table).where(leg_table.c.person_id.in_(sorted({key[2] for key in wanted})))
        )
        found = {(row.year, row.insurance, row.person_id) for row in rows}
        return dict.fromkeys(wanted & found, True)


async def submitted_persons(connection: Connection, year: int, insurance: str) -> frozenset[str]:
    """Persons whose leg of this year and insurance was submitted."""
    rows = await connection.execute(
        sa.select(leg_table.c.person_id).where(leg_table.c.year == year, leg_table.c.insurance == insurance)
    )
    return frozenset(row.person_id for row in rows)


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
