"""Reads of lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.subsidy.lists.projection import line_table, list_table
from shared.eventstore.database import Connection, Row


async def header(connection: Connection, list_id: str) -> Row | None:
    """One list."""
    rows = await connection.execute(sa.select(list_table).where(list_table.c.list_id == list_id))
    return rows[0] if rows else None


async def headers(connection: Connection, list_ids: Sequence[str]) -> Mapping[str, Row]:
    """Lists by id; unknown ones are absent."""
    wanted = sorted(set(list_ids))
    rows = await connection.execute(sa.select(list_table).where(list_table.c.list_id.in_(wanted)))
    return {row.list_id: row for row in rows}


async def counts(connection: Connection, list_id: str) -> dict[str, int]:
    """Lines per state; imported + failed = lines once registration has answered all."""
    rows = await connection.execute(
        sa.select(line_table.c.state, sa.func.count().label("lines"))
        .where(line_table.c.list_id == list_id)
        .group_by(line_table.c.state)
    )
    return {row.state: int(row.lines) for row in rows}


async def corrected(connection: Connection, list_id: str) -> int:
    """How many failed lines came back corrected on a later list."""
    rows = await connection.execute(
        sa.select(sa.func.count()).where(line_table.c.list_id == list_id, line_table.c.corrected_in != "")
    )
    return int(rows[0][0])


async def failed_lines(connection: Connection, list_id: str) -> frozenset[int]:
    """Numbers of failed lines nobody has corrected yet."""
    rows = await connection.execute(failures(list_id).where(line_table.c.corrected_in == ""))
    return frozenset(int(row.line_no) for row in rows)


def failures(list_id: str) -> sa.Select[Any]:
    """Failed lines: the department knows its own line numbers, so no person is named."""
    return sa.select(line_table.c.line_no, line_table.c.error, line_table.c.corrected_in).where(
        line_table.c.list_id == list_id, line_table.c.state == "FAILED"
    )


def listing(campaign: str, department: str) -> sa.Select[Any]:
    """Lists by campaign and department; empty text means any."""
    statement = sa.select(list_table)
    if campaign:
        statement = statement.where(list_table.c.campaign == campaign)
    if department:
        statement = statement.where(list_table.c.department == department)
    return statement
