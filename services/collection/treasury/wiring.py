"""The treasury part, wired."""

from __future__ import annotations

from services.collection.treasury.api import router, vouchers_import
from services.collection.treasury.consumer import GovernmentPaymentsVouchered, ReturnsAcknowledged
from services.collection.treasury.handlers import DeclarationFacts, Treasury
from services.collection.treasury.projection import TreasuryLines
from services.collection.treasury.publication import TreasuryPublication
from services.collection.treasury.queries import LineDetails
from services.collection.treasury.reactions import ChannelsVouchered, DeclarationsVouchered, LegsReturned
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, facts: DeclarationFacts, details: LineDetails) -> Capability:
    """Treasury over the service's ports, its siblings' facts and payments' rows."""
    treasury = Treasury(ports.store, ports.database, facts)
    kind = vouchers_import()
    ports.imports.register(kind)
    return Capability(
        projections=[TreasuryLines()],
        reactions=[
            DeclarationsVouchered(),
            ChannelsVouchered(details),
            LegsReturned(),
            GovernmentPaymentsVouchered(ports.clock),
            ReturnsAcknowledged(),
        ],
        publications=[TreasuryPublication()],
        routers=[router(treasury, ports, kind)],
    )
