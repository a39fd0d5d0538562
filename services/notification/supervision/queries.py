"""Reads of cases."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from services.notification.supervision.projection import case_table
from shared.eventstore.database import Connection, Row


def listing(campaign: str, rule: str, state: str) -> sa.Select[Any]:
    """Cases by campaign, rule and state; empty text means any."""
    statement = sa.select(case_table)
    for column, value in (
        (case_table.c.campaign, campaign),
        (case_table.c.rule, rule),
        (case_table.c.state, state),
    ):
        if value:
            statement = statement.where(column == value)
    return statement


async def case(connection: Connection, case_id: str) -> Row | None:
    """One case."""
    rows = await connection.execute(sa.select(case_table).where(case_table.c.case_id == case_id))
    return rows[0] if rows else None
