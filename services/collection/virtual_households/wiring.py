"""Virtual households and agents, wired."""

from __future__ import annotations

from services.collection.virtual_households.api import router
from services.collection.virtual_households.handlers import VirtualHouseholds
from services.collection.virtual_households.projection import HouseholdProjection
from shared.eventstore.commands import FactSource
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, campaign_facts: FactSource) -> Capability:
    """Households and agents; ``campaign_facts`` comes from campaigns. Nothing of it is published."""
    households = VirtualHouseholds(ports.store, campaign_facts)
    return Capability(projections=[HouseholdProjection()], routers=[router(households, ports.database)])
