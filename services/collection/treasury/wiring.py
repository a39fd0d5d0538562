"""The treasury part, wired."""

from __future__ import annotations

from services.collection.obligations.flows import MoneyFlows
from services.collection.treasury.api import router, vouchers_import
from services.collection.treasury.consumer import (
    DrawDocument,
    GovernmentPaymentsVouchered,
    ReturnsAcknowledged,
)
from services.collection.treasury.handlers import DeclarationFacts, Treasury
from services.collection.treasury.projection import TreasuryLines
from services.collection.treasury.publication import TreasuryPublication
from services.collection.treasury.queries import LineClaims, LineDetails
from services.collection.treasury.reactions import ChannelsVouchered, DeclarationsVouchered
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports, facts: DeclarationFacts, details: LineDetails, flows: MoneyFlows, drawn: DrawDocument
) -> Capability:
    """Treasury over the service's ports, its siblings' facts and payments' rows.

    drawn: what stands for a government voucher where money goes into fund accounts.
    """
    treasury = Treasury(ports.store, ports.database, facts)
    claims = LineClaims(ports.log)
    kind = vouchers_import()
    ports.imports.register(kind)
    return Capability(
        projections=[TreasuryLines()],
        reactions=[
            DeclarationsVouchered(claims),
            ChannelsVouchered(details, claims, flows),
            GovernmentPaymentsVouchered(ports.clock, flows, drawn),
            ReturnsAcknowledged(),
        ],
        publications=[TreasuryPublication()],
        routers=[router(treasury, ports, kind)],
    )
