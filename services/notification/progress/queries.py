"""Reads of progress."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.notification.progress.domain import Figures
from services.notification.progress.projection import (
    campaign_table,
    obligation_table,
    stage_table,
    target_table,
)
from shared.eventstore.database import Connection, Row
from shared.kernel.identity import full_years
from shared.kernel.insurance import Insurance

_o = obligation_table.c


def _sums() -> list[sa.Label[Any]]:
    exempt = sa.and_(_o.assessed == 1, _o.personal_fen == 0)
    return [
        sa.func.sum(_o.assessed).label("persons"),
        sa.func.sum(sa.case((exempt, 1), else_=0)).label("exempt_persons"),
        sa.func.sum(sa.case((_o.paid_fen > 0, 1), else_=0)).label("paid_persons"),
        sa.func.sum(_o.standard_fen).label("due_fen"),
        sa.func.sum(_o.paid_fen).label("paid_fen"),
        sa.func.sum(_o.government_fen).label("subsidised_fen"),
    ]


async def campaigns(connection: Connection) -> Sequence[Row]:
    """All campaigns known here."""
    return await connection.execute(sa.select(campaign_table).order_by(campaign_table.c.campaign))


async def campaign(connection: Connection, campaign_id: str) -> Row | None:
    """One campaign's window."""
    rows = await connection.execute(sa.select(campaign_table).where(campaign_table.c.campaign == campaign_id))
    return rows[0] if rows else None


async def by_village(connection: Connection, campaign_id: str, division: str) -> Sequence[Row]:
    """Figures per village and insurance inside ``division`` (empty: the whole campaign)."""
    return await connection.execute(
        sa.select(_o.village, _o.insurance, *_sums())
        .where(_o.campaign == campaign_id, _o.village.startswith(division, autoescape=True))
        .group_by(_o.village, _o.insurance)
        .order_by(_o.village, _o.insurance)
    )


async def by_town(connection: Connection, campaign_id: str) -> list[Figures]:
    """Figures per town and insurance."""
    division = sa.func.substr(_o.village, 1, 9)
    rows = await connection.execute(
        sa.select(division.label("division"), _o.insurance, *_sums())
        .where(_o.campaign == campaign_id)
        .group_by(division, _o.insurance)
        .order_by(division, _o.insurance)
    )
    return [
        Figures(
            row.division,
            Insurance(row.insurance),
            int(row.persons),
            int(row.exempt_persons),
            int(row.paid_persons),
            int(row.due_fen),
            int(row.paid_fen),
        )
        for row in rows
    ]


async def stages(connection: Connection, campaign_id: str, division: str) -> Sequence[Row]:
    """Money per village, insurance and stage (IN_TREASURY, BOOKED, REFUNDED)."""
    return await connection.execute(
        sa.select(stage_table)
        .where(
            stage_table.c.campaign == campaign_id,
            stage_table.c.village.startswith(division, autoescape=True),
        )
        .order_by(stage_table.c.village, stage_table.c.insurance, stage_table.c.stage)
    )


async def targets(connection: Connection, campaign_id: str) -> Sequence[Row]:
    """Target rows of a campaign."""
    return await connection.execute(
        sa.select(target_table)
        .where(target_table.c.campaign == campaign_id)
        .order_by(target_table.c.division, target_table.c.insurance)
    )


async def pension_bands(
    connection: Connection, campaign_id: str, division: str, on: dt.date
) -> dict[str, tuple[int, int]]:
    """Pension persons and paid persons by age band on a date (I-32, D-05: 45 counts in 45-59)."""
    births = await connection.execute(
        sa.select(_o.birth, sa.func.sum(_o.assessed), sa.func.sum(sa.case((_o.paid_fen > 0, 1), else_=0)))
        .where(
            _o.campaign == campaign_id,
            _o.insurance == Insurance.PENSION.value,
            _o.birth.is_not(None),
            _o.village.startswith(division, autoescape=True),
        )
        .group_by(_o.birth)
    )
    bands = {"16-44": (0, 0), "45-59": (0, 0)}
    for row in births:
        birth, persons, paid = tuple(row)
        band = "45-59" if full_years(birth, on) >= 45 else "16-44"
        enrolled, payers = bands[band]
        bands[band] = (enrolled + int(persons), payers + int(paid))
    return bands
