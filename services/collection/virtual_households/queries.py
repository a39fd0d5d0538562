"""Reads of virtual households and agents, and the fact source decisions ask."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import msgspec
import sqlalchemy as sa

from services.collection.obligations.facts import AgentFact
from services.collection.virtual_households.projection import AGENT, VIRTUAL_HOUSEHOLD
from shared.eventstore.database import Connection, Row
from shared.kernel.insurance import Insurance

_codes = msgspec.json.Decoder(tuple[str, ...])
_insurances = msgspec.json.Decoder(tuple[Insurance, ...])


class AgentFacts:
    """``AgentFact`` per (agent_id, campaign), with his household's scope. One query a batch."""

    name = "agent"
    beside = False

    async def load(
        self, connection: Connection, keys: Sequence[Hashable]
    ) -> Mapping[tuple[str, str], AgentFact]:
        wanted = cast("Sequence[tuple[str, str]]", keys)
        household = VIRTUAL_HOUSEHOLD.c
        rows = await connection.execute(
            sa.select(AGENT, household.insurances, household.divisions, household.mode)
            .select_from(
                AGENT.outerjoin(
                    VIRTUAL_HOUSEHOLD, AGENT.c.virtual_household_id == household.virtual_household_id
                )
            )
            .where(
                AGENT.c.agent_id.in_({agent_id for agent_id, _ in wanted}),
                AGENT.c.campaign.in_({campaign for _, campaign in wanted}),
            )
        )
        return {(row.agent_id, row.campaign): _fact(row) for row in rows}


def _fact(row: Row) -> AgentFact:
    """Without a virtual household an agent collects both insurances in his own village."""
    alone = not row.virtual_household_id
    return AgentFact(
        agent_id=row.agent_id,
        campaign=row.campaign,
        village=row.village,
        virtual_household_id=row.virtual_household_id,
        unit_id=row.unit_id,
        designated_account=row.designated_account,
        channels=_codes.decode(row.channels),
        insurances=tuple(Insurance) if alone else _insurances.decode(row.insurances),
        divisions=(row.village,) if alone else _codes.decode(row.divisions),
        mode="NONE" if alone else row.mode,
        active=row.active,
    )


async def household_view(connection: Connection, virtual_household_id: str) -> dict[str, Any] | None:
    """A household with its agents."""
    rows = await connection.execute(
        sa.select(VIRTUAL_HOUSEHOLD).where(VIRTUAL_HOUSEHOLD.c.virtual_household_id == virtual_household_id)
    )
    if not rows:
        return None
    view = dict(rows[0]._mapping)
    for name in ("villages", "insurances", "divisions"):
        view[name] = _codes.decode(view[name])
    agents = await connection.execute(
        sa.select(AGENT)
        .where(AGENT.c.virtual_household_id == virtual_household_id)
        .order_by(AGENT.c.agent_id)
    )
    view["agents"] = [
        {
            "agent_id": row.agent_id,
            "village": row.village,
            "channels": _codes.decode(row.channels),
            "active": row.active,
        }
        for row in agents
    ]
    return view
