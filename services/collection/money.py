"""The money half of collection, wired: payments, settlement, treasury, refunds, reconciliation (used by app.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.collection.capability import events_in
from services.collection.fund_accounts import events as fund_events
from services.collection.fund_accounts import projection as fund_rows
from services.collection.fund_accounts import wiring as fund_accounts
from services.collection.fund_accounts.forms import PriorPayment, PriorYear
from services.collection.fund_accounts.handlers import FundFacts, government_command
from services.collection.fund_accounts.queries import (
    ChannelLinesFacts,
    EnteredFacts,
    FundAccountFacts,
    FundStages,
    StatisticsFacts,
    VillageBooksFacts,
)
from services.collection.fund_accounts.reactions import OpenCampaigns
from services.collection.fund_accounts.stream import movement_stream
from services.collection.obligations.flows import MoneyFlows
from services.collection.payments import events as payment_events
from services.collection.payments import projection as payment_rows
from services.collection.payments import wiring as payments
from services.collection.payments.dayfiles import DayFileOrders
from services.collection.payments.handlers import PaymentFacts
from services.collection.payments.queries import (
    CampaignYears,
    TakingFacts,
    cash_days,
    channel_lines,
    forms_of_book,
    line_by_id,
    line_details,
    received_totals,
    village_cash,
)
from services.collection.receipt_books import events as book_events
from services.collection.receipt_books import projection as book_rows
from services.collection.receipt_books import wiring as receipt_books
from services.collection.reconciliation import events as reconciliation_events
from services.collection.reconciliation import projection as reconciliation_rows
from services.collection.reconciliation import wiring as reconciliation
from services.collection.refunds import events as refund_events
from services.collection.refunds import projection as refund_rows
from services.collection.refunds import wiring as refunds
from services.collection.refunds.handlers import MoneyTrail
from services.collection.settlement import events as settlement_events
from services.collection.settlement import projection as settlement_rows
from services.collection.settlement import wiring as settlement
from services.collection.settlement.handlers import SettlementFacts
from services.collection.settlement.queries import OpenDiscrepancies
from services.collection.treasury import events as treasury_events
from services.collection.treasury import projection as treasury_rows
from services.collection.treasury import wiring as treasury
from services.collection.treasury.handlers import DeclarationFacts
from services.collection.treasury.queries import LINE_CLAIM, DeclarableLines, LineClaims, LineStages
from services.collection.treasury.stream import voucher_stream
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Stream
from shared.kernel.events import Event
from shared.web.capability import Capability
from shared.web.service import Ports, ThinRoute


async def no_campaigns(connection: Connection) -> Sequence[str]:
    """Where nobody opens campaigns, none is open."""
    return []


async def no_history(connection: Connection, village: str, year: int) -> Sequence[PriorPayment]:
    """Where no history is kept, nobody has paid before."""
    return []


@dataclass(frozen=True, slots=True)
class MoneyFacts:
    """What the other half of collection knows.

    campaigns: campaign id -> CampaignFact; deaths: person id -> date; rosters: (campaign, insurance, person)
    -> RosterFact; agents: (agent id, campaign) -> AgentFact; roster_states: roster id -> RosterStatusFact;
    open_campaigns: ids of those not closed; prior_year: (village, year) -> who had paid.
    """

    campaigns: FactSource
    deaths: FactSource
    rosters: FactSource
    agents: FactSource
    roster_states: FactSource
    open_campaigns: OpenCampaigns = no_campaigns
    prior_year: PriorYear = no_history


@dataclass(frozen=True, slots=True)
class MoneyWired:
    """Everything app.py adds to the service's description."""

    capabilities: Sequence[Capability]
    thin: Sequence[ThinRoute]
    gauges: Sequence[Callable[[], Awaitable[None]]]


def _mover(number: str) -> Stream[Any]:
    """Stream of what moves a line's money: a payment document or a tax voucher."""
    return movement_stream(number) if number.startswith("PD-") else voucher_stream(number)


def money_events() -> list[type[Event]]:
    """Own events of the five capabilities."""
    return events_in(
        payment_events,
        book_events,
        settlement_events,
        treasury_events,
        fund_events,
        refund_events,
        reconciliation_events,
    )


def money_metadata() -> list[sa.MetaData]:
    """Read models of the five capabilities."""
    return [
        payment_rows.metadata,
        book_rows.metadata,
        settlement_rows.metadata,
        treasury_rows.metadata,
        fund_rows.metadata,
        refund_rows.metadata,
        reconciliation_rows.metadata,
    ]


def wire_money(ports: Ports, facts: MoneyFacts) -> MoneyWired:
    """The five capabilities over the service's ports."""
    paid = payments.wire(ports, PaymentFacts(facts.campaigns, facts.deaths, facts.rosters, facts.agents))
    years = CampaignYears(ports.database)
    accounts, flows = FundAccountFacts(), MoneyFlows(facts.campaigns)

    async def campaigns_of(wanted: frozenset[int]) -> Sequence[str]:
        return await years.of_years(wanted, fresh=True)

    async def find_line(line_id: str) -> Row | None:
        return await line_by_id(ports.database, line_id)

    settled = settlement.capability(
        ports,
        SettlementFacts(TakingFacts(), facts.agents, accounts),
        campaigns_of,
        DayFileOrders(paid.payments, ports.database),
        channel_lines,
        cash_days,
    )
    declared = treasury.capability(
        ports,
        DeclarationFacts(
            facts.campaigns,
            facts.roster_states,
            DeclarableLines(line_details, facts.rosters),
            OpenDiscrepancies(),
        ),
        line_details,
        flows,
        government_command,
    )
    claims = LineClaims(ports.log)
    funded = fund_accounts.capability(
        ports,
        FundFacts(
            facts.campaigns,
            accounts,
            VillageBooksFacts(line_details, village_cash, OpenDiscrepancies(), claims),
            ChannelLinesFacts(line_details, claims),
            EnteredFacts(),
            StatisticsFacts(received_totals),
            LINE_CLAIM,
        ),
        flows,
        line_details,
        facts.open_campaigns,
        facts.prior_year,
    )
    refunded = refunds.capability(ports, find_line, MoneyTrail(FundStages(LineStages()), _mover))
    reconciled = reconciliation.wire(ports)
    return MoneyWired(
        [
            paid.capability,
            receipt_books.capability(ports, forms_of_book),
            settled,
            declared,
            funded,
            refunded,
            reconciled.capability,
        ],
        [paid.thin],
        [reconciled.gauges, settlement.gauges(ports)],
    )
