"""Reads of settlements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from services.collection.settlement.projection import settlement_day
from shared.eventstore.database import Connection


class OpenDiscrepancies:
    """Key (campaign, village) -> number of open discrepancies of its agents (I-21)."""

    name = "open-discrepancies"

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        c = settlement_day.c
        found: dict[Any, int] = {}
        for key in keys:
            campaign, village = cast("tuple[str, str]", key)
            rows = await connection.execute(
                sa.select(sa.func.count())
                .select_from(settlement_day)
                .where(c.campaign == campaign, c.village == village, c.kind == "AGENT", c.open_reason != "")
            )
            found[key] = rows[0][0]
        return found


def days_statement(campaign: str, village: str, state: str) -> sa.Select[Any]:
    """Days of a campaign; state OPEN: with an open discrepancy, OVERDUE: cash that came late."""
    c = settlement_day.c
    statement = sa.select(settlement_day)
    if campaign:
        statement = statement.where(c.campaign == campaign)
    if village:
        statement = statement.where(c.village == village)
    if state == "OPEN":
        statement = statement.where(c.open_reason != "")
    if state == "OVERDUE":
        statement = statement.where(c.overdue_days > 0)
    return statement


async def overdue_days(connection: Connection) -> Mapping[tuple[str, str], int]:
    """(campaign, insurance) -> agents' days whose cash came late or not at all and is not settled (I-22).

    A campaign without any is there with 0, so that the gauge goes back.
    """
    c = settlement_day.c
    late = sa.and_(c.overdue_days > 0, c.confirmed_count == 0)
    rows = await connection.execute(
        sa.select(c.campaign, c.insurance, sa.func.count(sa.case((late, 1))))
        .where(c.kind == "AGENT")
        .group_by(c.campaign, c.insurance)
    )
    return {(row[0], row[1]): int(row[2]) for row in rows}


async def confirmed_days(
    connection: Connection, first: dt.date, last: dt.date
) -> Mapping[tuple[str, str, dt.date], Mapping[str, tuple[int, int]]]:
    """(campaign, agent, date) -> insurance -> (lines, fen) confirmed and not contradicted since."""
    c = settlement_day.c
    rows = await connection.execute(
        sa.select(c.campaign, c.source, c.date, c.insurance, c.confirmed_count, c.confirmed_fen).where(
            c.kind == "AGENT", c.date >= first, c.date <= last, c.confirmed_count > 0, c.open_reason == ""
        )
    )
    found: dict[tuple[str, str, dt.date], dict[str, tuple[int, int]]] = {}
    for campaign, agent_id, day, insurance, count, fen in rows:
        found.setdefault((campaign, agent_id, day), {})[insurance] = (int(count), int(fen))
    return found
