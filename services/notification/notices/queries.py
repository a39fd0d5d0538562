"""Reads of notices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.notification.notices.projection import (
    campaign_table,
    notice_table,
    objection_table,
    payment_line_table,
    publication_table,
    roster_line_table,
)
from shared.eventstore.database import Connection, Row


async def pack_of(connection: Connection, campaign: str) -> Row | None:
    """Pack id, version and digest of an opened campaign; None before it is known here."""
    rows = await connection.execute(sa.select(campaign_table).where(campaign_table.c.campaign == campaign))
    return rows[0] if rows else None


async def due(connection: Connection, day: dt.date) -> Sequence[Row]:
    """Open notices whose last day lies before ``day`` and whose objections are all resolved."""
    waiting = (
        sa.select(objection_table.c.notice_id)
        .where(objection_table.c.notice_id == notice_table.c.notice_id, objection_table.c.outcome.is_(None))
        .exists()
    )
    return await connection.execute(
        sa.select(notice_table)
        .where(notice_table.c.state == "OPEN", notice_table.c.to_date < day, ~waiting)
        .order_by(notice_table.c.notice_id)
    )


async def notice(connection: Connection, notice_id: str) -> Row | None:
    """One notice."""
    rows = await connection.execute(sa.select(notice_table).where(notice_table.c.notice_id == notice_id))
    return rows[0] if rows else None


async def objections(connection: Connection, notice_id: str) -> Sequence[Row]:
    """The objections of a notice, in the order they were raised."""
    return await connection.execute(
        sa.select(objection_table)
        .where(objection_table.c.notice_id == notice_id)
        .order_by(objection_table.c.objection_id)
    )


def listing(village: str, campaign: str, kind: str, state: str) -> sa.Select[Any]:
    """Notices by village, campaign, kind and state; empty text means any."""
    statement = sa.select(notice_table)
    for column, value in (
        (notice_table.c.village, village),
        (notice_table.c.campaign, campaign),
        (notice_table.c.kind, kind),
        (notice_table.c.state, state),
    ):
        if value:
            statement = statement.where(column == value)
    return statement


def publications(campaign: str, village: str) -> sa.Select[Any]:
    """What villages of a campaign have shown without a period."""
    statement = sa.select(publication_table).where(publication_table.c.campaign == campaign)
    return statement.where(publication_table.c.village == village) if village else statement


def roster_lines(roster_id: str, version: int) -> sa.Select[Any]:
    """What a roster notice shows."""
    return sa.select(roster_line_table).where(
        roster_line_table.c.roster_id == roster_id, roster_line_table.c.version == version
    )


def payment_lines(campaign: str, village: str) -> sa.Select[Any]:
    """What a payment notice shows."""
    return sa.select(payment_line_table).where(
        payment_line_table.c.campaign == campaign, payment_line_table.c.village == village
    )
