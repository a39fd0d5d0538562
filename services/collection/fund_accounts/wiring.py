"""Fund accounts, wired."""

from __future__ import annotations

from services.collection.fund_accounts.api import router
from services.collection.fund_accounts.consumer import DocumentsAcknowledged
from services.collection.fund_accounts.forms import PriorYear
from services.collection.fund_accounts.handlers import FundAccounts, FundFacts
from services.collection.fund_accounts.projection import FundAccountRows
from services.collection.fund_accounts.publication import FundAccountsPublication
from services.collection.fund_accounts.queries import LineDetails
from services.collection.fund_accounts.reactions import ArrivalsRecorded, OpenCampaigns, WeeksCompiled
from services.collection.obligations.flows import MoneyFlows
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    facts: FundFacts,
    flows: MoneyFlows,
    details: LineDetails,
    open_campaigns: OpenCampaigns,
    prior_year: PriorYear,
) -> Capability:
    """Fund accounts over the service's ports, payments' rows, the campaigns and last year's payments."""
    funds = FundAccounts(ports.store, ports.database, facts)
    return Capability(
        projections=[FundAccountRows()],
        reactions=[
            ArrivalsRecorded(flows, facts, details),
            WeeksCompiled(facts, open_campaigns),
            DocumentsAcknowledged(),
        ],
        publications=[FundAccountsPublication()],
        routers=[router(funds, ports, prior_year)],
    )
