"""The fact source through which decisions find their pack."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.registration.policies.domain import OpenCampaign, YearPolicies
from services.registration.policies.projection import OPEN_CAMPAIGN
from shared.eventstore.database import Connection, Row
from shared.policy.registry import PackRegistry


class PolicyFacts:
    """Key: insured year. Value: ``YearPolicies``, also for a year nobody opened a campaign for."""

    name = "policies"
    beside = False

    def __init__(self, packs: PackRegistry) -> None:
        self._packs = packs

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """All campaigns of the years asked for."""
        rows = await connection.execute(sa.select(OPEN_CAMPAIGN).where(OPEN_CAMPAIGN.c.year.in_(keys)))
        campaigns: dict[Any, list[OpenCampaign]] = {key: [] for key in keys}
        for row in rows:
            self._packs.exactly(
                row.pack_id, row.pack_version, row.pack_digest
            )  # reads a file that came later
            campaigns[row.year].append(_campaign(row))
        packs = tuple(self._packs)
        return {year: YearPolicies(int(year), tuple(found), packs) for year, found in campaigns.items()}


def _campaign(row: Row) -> OpenCampaign:
    return OpenCampaign(
        row.campaign,
        row.division,
        row.year,
        row.pack_id,
        row.pack_version,
        row.pack_digest,
        row.window_to,
        row.extended_to,
        tuple(row.earlier_digests.split()),
    )
