"""The money half of collection, wired: payments, settlement, treasury, refunds, reconciliation (used by app.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from services.collection.capability import events_in
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
    line_by_id,
    line_details,
)
from services.collection.reconciliation import events as reconciliation_events
from services.collection.reconciliation import projection as reconciliation_rows
from services.collection.reconciliation import wiring as reconciliation
from services.collection.refunds import events as refund_events
from services.collection.refunds import projection as refund_rows
from services.collection.refunds import wiring as refunds
from services.collection.settlement import events as settlement_events
from services.collection.settlement import projection as settlement_rows
from services.collection.settlement import wiring as settlement
from services.collection.settlement.handlers import SettlementFacts
from services.collection.settlement.queries import OpenDiscrepancies
from services.collection.treasury import events as treasury_events
from services.collection.treasury import projection as treasury_rows
from services.collection.treasury import wiring as treasury
from services.collection.treasury.handlers import DeclarationFacts
from services.collection.treasury.queries import DeclarableLines, line_stage
from shared.eventstore.commands import FactSource
from shared.eventstore.database import Row
from shared.kernel.events import Event
from shared.web.capability import Capability
from shared.web.service import Ports, ThinRoute


@dataclass(frozen=True, slots=True)
class MoneyFacts:
    """What the other half of collection knows.

    campaigns: campaign id -> CampaignFact; deaths: person id -> date; rosters: (campaign, insurance, person)
    -> RosterFact; agents: (agent id, campaign) -> AgentFact; roster_states: roster id -> RosterStatusFact.
    """

    campaigns: FactSource
    deaths: FactSource
    rosters: FactSource
    agents: FactSource
    roster_states: FactSource


@dataclass(frozen=True, slots=True)
class MoneyWired:
    """Everything app.py adds to the service's description."""

    capabilities: Sequence[Capability]
    thin: Sequence[ThinRoute]
    gauges: Sequence[Callable[[], Awaitable[None]]]


def money_events() -> list[type[Event]]:
    """Own events of the five capabilities."""
    return events_in(payment_events, settlement_events, treasury_events, refund_events, reconciliation_events)


def money_metadata() -> list[sa.MetaData]:
    """Read models of the five capabilities."""
    return [
        payment_rows.metadata,
        settlement_rows.metadata,
        treasury_rows.metadata,
        refund_rows.metadata,
        reconciliation_rows.metadata,
    ]


def wire_money(ports: Ports, facts: MoneyFacts) -> MoneyWired:
    """The five capabilities over the service's ports."""
    paid = payments.wire(ports, PaymentFacts(facts.campaigns, facts.deaths, facts.rosters, facts.agents))
    years = CampaignYears(ports.database)

    async def campaigns_of(wanted: frozenset[int]) -> Sequence[str]:
        return await years.of_years(wanted, fresh=True)

    async def find_line(line_id: str) -> Row | None:
        return await line_by_id(ports.database, line_id)

    async def stage_of(line_id: str) -> str:
        return await line_stage(ports.database, line_id)

    settled = settlement.capability(
        ports,
        SettlementFacts(TakingFacts(), facts.agents),
        campaigns_of,
        DayFileOrders(paid.payments),
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
    )
    refunded = refunds.capability(ports, find_line, stage_of)
    reconciled = reconciliation.wire(ports)
    return MoneyWired(
        [paid.capability, settled, declared, refunded, reconciled.capability],
        [paid.thin],
        [reconciled.gauges],
    )
