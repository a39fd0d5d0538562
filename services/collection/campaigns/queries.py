"""Reads of campaigns, and the fact source decisions ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.collection.campaigns.projection import CAMPAIGN, DIFFERENCE, PUBLISHED, TARGET
from services.collection.obligations.facts import CampaignFact
from shared.eventstore.commands import Lookup
from shared.eventstore.database import Connection, Row, among
from shared.policy.registry import PackRegistry

_OF_CAMPAIGNS = sa.select(CAMPAIGN).where(among(CAMPAIGN.c.campaign))


class CampaignFacts(Lookup):
    """``CampaignFact`` per campaign id."""

    name = "campaign"
    statement = _OF_CAMPAIGNS

    def __init__(self, packs: PackRegistry) -> None:
        self._packs = packs

    def facts(self, rows: Sequence[Row]) -> Mapping[str, CampaignFact]:
        return {row.campaign: self._fact(row) for row in rows}

    def _fact(self, row: Row) -> CampaignFact:
        return CampaignFact(
            campaign=row.campaign,
            division=row.division,
            year=row.year,
            pack=self._packs.exactly(row.pack_id, row.pack_version, row.pack_digest),
            window_from=row.window_from,
            window_to=row.window_to,
            extended_to=row.extended_to,
            phase=row.phase,
            closed_on=row.closed_on,
        )


async def open_campaigns(connection: Connection) -> Sequence[str]:
    """Campaigns that are not closed, in order."""
    rows = await connection.execute(
        sa.select(CAMPAIGN.c.campaign).where(CAMPAIGN.c.closed_on.is_(None)).order_by(CAMPAIGN.c.campaign)
    )
    return [row.campaign for row in rows]


async def mismatched_campaigns(connection: Connection, packs: PackRegistry) -> Sequence[str]:
    """Open campaigns whose very pack this process does not hold."""
    rows = await connection.execute(sa.select(CAMPAIGN).where(CAMPAIGN.c.closed_on.is_(None)))
    return [
        row.campaign for row in rows if packs.exactly(row.pack_id, row.pack_version, row.pack_digest) is None
    ]


async def revisions_view(connection: Connection, campaign: str) -> list[dict[str, Any]]:
    """Versions a campaign has had, with what each changed: persons and fen of those who owe another amount."""
    c = DIFFERENCE.c
    sums = (
        sa.select(
            c.pack_version,
            sa.func.count().label("differing"),
            sa.func.sum(c.before_personal_fen).label("before_personal_fen"),
            sa.func.sum(c.after_personal_fen).label("after_personal_fen"),
        )
        .where(c.campaign == campaign)
        .group_by(c.pack_version)
        .subquery()
    )
    rows = await connection.execute(
        sa.select(
            PUBLISHED,
            sa.func.coalesce(sums.c.differing, 0).label("differing"),
            sa.func.coalesce(sums.c.before_personal_fen, 0).label("before_personal_fen"),
            sa.func.coalesce(sums.c.after_personal_fen, 0).label("after_personal_fen"),
        )
        .select_from(PUBLISHED.outerjoin(sums, PUBLISHED.c.version == sums.c.pack_version))
        .where(PUBLISHED.c.campaign == campaign)
        .order_by(PUBLISHED.c.version)
    )
    return [
        {name: int(value) if name.endswith("_fen") else value for name, value in row._mapping.items()}
        for row in rows
    ]


def differences_statement(campaign: str, version: int, division: str) -> sa.Select[Any]:
    """Whose amount a revision changed, to be paged by (insurance, person_id)."""
    c = DIFFERENCE.c
    return sa.select(DIFFERENCE).where(
        c.campaign == campaign, c.pack_version == version, c.village.startswith(division, autoescape=True)
    )


async def campaign_view(connection: Connection, campaign: str) -> dict[str, Any] | None:
    """A campaign with its targets, as ``GET /campaigns/{campaign}`` answers it."""
    rows = await connection.execute(sa.select(CAMPAIGN).where(CAMPAIGN.c.campaign == campaign))
    if not rows:
        return None
    targets = await connection.execute(
        sa.select(TARGET).where(TARGET.c.campaign == campaign).order_by(TARGET.c.division, TARGET.c.insurance)
    )
    view = dict(rows[0]._mapping)
    view["targets"] = [
        {name: value for name, value in row._mapping.items() if name != "campaign"} for row in targets
    ]
    return view
