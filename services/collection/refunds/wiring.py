"""Refunds, wired."""

from __future__ import annotations

from services.collection.refunds.api import router
from services.collection.refunds.consumer import VerdictsTaken
from services.collection.refunds.handlers import FindLine, MoneyTrail, Refunds
from services.collection.refunds.projection import RefundStates
from services.collection.refunds.publication import RefundPublication
from services.collection.refunds.reactions import FindingsRefunded
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, find_line: FindLine, trail: MoneyTrail) -> Capability:
    """Refunds over the service's ports, payments' lines and treasury's trail of their money."""
    refunds = Refunds(ports.store, ports.database, find_line, trail)
    return Capability(
        projections=[RefundStates()],
        reactions=[FindingsRefunded(trail), VerdictsTaken()],
        publications=[RefundPublication()],
        routers=[router(refunds, ports.database)],
    )
