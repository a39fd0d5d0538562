"""Fund accounts, wired."""

from __future__ import annotations

from services.collection.fund_accounts.api import router
from services.collection.fund_accounts.consumer import DocumentsAcknowledged
from services.collection.fund_accounts.handlers import FundAccounts, FundFacts
from services.collection.fund_accounts.projection import FundAccountRows
from services.collection.fund_accounts.publication import FundAccountsPublication
from services.collection.fund_accounts.queries import LineDetails
from services.collection.fund_accounts.reactions import ArrivalsRecorded, OpenCampaigns, WeeksCompiled
from services.collection.obligations.flows import MoneyFlows
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports, facts: FundFacts, flows: MoneyFlows, details: LineDetails, open_campaigns: OpenCampaigns
) -> Capability:
    """Fund accounts over the service's ports, payments' rows and the campaigns."""
    funds = FundAccounts(ports.store, ports.database, facts)
    return Capability(
        projections=[FundAccountRows()],
        reactions=[
            ArrivalsRecorded(flows, facts, details),
            WeeksCompiled(facts, open_campaigns),
            DocumentsAcknowledged(),
        ],
        publications=[FundAccountsPublication()],
        routers=[router(funds, ports)],
    )
