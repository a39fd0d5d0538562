"""Read models of virtual households and agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.virtual_households import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

VIRTUAL_HOUSEHOLD = sa.Table(
    "virtual_household",
    metadata,
    sa.Column("virtual_household_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("unit_id", sa.Text, nullable=False),
    sa.Column("unit_name", sa.Text, nullable=False),
    sa.Column("villages", sa.Text, nullable=False),  # JSON list
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("insurances", sa.Text, nullable=False),  # JSON list
    sa.Column("divisions", sa.Text, nullable=False),  # JSON list
    sa.Index("virtual_household_campaign", "campaign", "virtual_household_id"),
)

AGENT = sa.Table(
    "agent",
    metadata,
    sa.Column("agent_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("virtual_household_id", sa.Text, nullable=False),
    sa.Column("unit_id", sa.Text, nullable=False),
    sa.Column("designated_account", sa.Text, nullable=False),
    sa.Column("channels", sa.Text, nullable=False),  # JSON list
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Index("agent_village", "campaign", "village", "agent_id"),
)


def as_json(values: Sequence[str]) -> str:
    """A list of codes as a column holds it."""
    return msgspec.json.encode([str(value) for value in values]).decode()


class HouseholdProjection:
    """Few rows, written one by one in order."""

    name = "virtual-households"
    tables: Sequence[sa.Table] = (VIRTUAL_HOUSEHOLD, AGENT)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.VirtualHouseholdRegistered,
        e.CollectionScopeAssigned,
        e.AgentAuthorized,
        e.AgentRevoked,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        for recorded in events:
            await _apply(connection, recorded.event)


async def _apply(connection: Connection, event: Any) -> None:
    row: dict[str, Any]
    match event:
        case e.VirtualHouseholdRegistered():
            row = {
                "virtual_household_id": event.virtual_household_id, "campaign": event.campaign,
                "unit_id": event.unit_id, "unit_name": event.unit_name, "villages": as_json(event.villages),
                "mode": event.mode, "insurances": "[]", "divisions": "[]",
            }  # fmt: skip
            await connection.upsert(VIRTUAL_HOUSEHOLD, [row])
        case e.CollectionScopeAssigned():
            await connection.execute(
                sa.update(VIRTUAL_HOUSEHOLD)
                .where(VIRTUAL_HOUSEHOLD.c.virtual_household_id == event.virtual_household_id)
                .values(insurances=as_json(event.insurances), divisions=as_json(event.divisions))
            )
        case e.AgentAuthorized():
            row = {
                "agent_id": event.agent_id, "campaign": event.campaign, "village": event.village,
                "virtual_household_id": event.virtual_household_id, "unit_id": event.unit_id,
                "designated_account": event.designated_account, "channels": as_json(event.channels),
                "active": True,
            }  # fmt: skip
            await connection.upsert(AGENT, [row])
        case e.AgentRevoked():
            await connection.execute(
                sa.update(AGENT)
                .where(AGENT.c.agent_id == event.agent_id, AGENT.c.campaign == event.campaign)
                .values(active=False)
            )
