"""Where virtual households and agents live."""

from __future__ import annotations

from services.collection.virtual_households.domain import (
    Agent,
    VirtualHousehold,
    evolve_agent,
    evolve_household,
)
from shared.eventstore.streams import Category, Stream

VIRTUAL_HOUSEHOLD = Category("virtual-household", VirtualHousehold(), evolve_household)
AGENT = Category("agent", Agent(), evolve_agent)


def household_stream(virtual_household_id: str) -> Stream[VirtualHousehold]:
    """``virtual-household:{id}``."""
    return VIRTUAL_HOUSEHOLD.stream(virtual_household_id)


def agent_stream(agent_id: str, campaign: str) -> Stream[Agent]:
    """``agent:{id}:{campaign}``, in the era of the campaign's year."""
    year = campaign.rpartition("-")[2]
    return AGENT.stream(agent_id, campaign, era=int(year) if year.isascii() and year.isdigit() else 0)
