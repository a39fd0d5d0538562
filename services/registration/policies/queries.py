"""The fact source through which decisions find their pack."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.registration.policies.domain import OpenCampaign, YearPolicies
from services.registration.policies.projection import OPEN_CAMPAIGN
from shared.eventstore.database import Connection
from shared.policy import Pack


class PolicyFacts:
    """Key: insured year. Value: ``YearPolicies``, also for a year nobody opened a campaign for."""

    name = "policies"

    def __init__(self, packs: Sequence[Pack]) -> None:
        self._packs = packs

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """All campaigns of the years asked for."""
        rows = await connection.execute(sa.select(OPEN_CAMPAIGN).where(OPEN_CAMPAIGN.c.year.in_(keys)))
        campaigns: dict[Any, list[OpenCampaign]] = {key: [] for key in keys}
        for row in rows:
            campaigns[row.year].append(OpenCampaign(**row._mapping))
        return {year: YearPolicies(int(year), tuple(found), self._packs) for year, found in campaigns.items()}
