"""Composition root of collection: the only module that wires. Each capability is told of the others here."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from services.collection.assessment import events as assessment_events
from services.collection.assessment import wiring as assessment
from services.collection.assessment.domain import assess_linked
from services.collection.assessment.handlers import Persons
from services.collection.campaigns import events as campaigns_events
from services.collection.campaigns import projection as campaigns_projection
from services.collection.campaigns import wiring as campaigns
from services.collection.campaigns.queries import CampaignFacts, mismatched_campaigns, open_campaigns
from services.collection.capability import events_in
from services.collection.history import events as history_events
from services.collection.history import projection as history_projection
from services.collection.history import wiring as history
from services.collection.history.queries import HistoryReader
from services.collection.money import MoneyFacts, money_events, money_metadata, wire_money
from services.collection.obligations import events as obligations_events
from services.collection.obligations import projection as obligations_projection
from services.collection.obligations.queries import assessed_in_village, paid_in_village
from services.collection.reconciliation.booked import booked_in_village
from services.collection.roster import events as roster_events
from services.collection.roster import projection as roster_projection
from services.collection.roster import wiring as roster
from services.collection.roster.queries import RosterFacts, RosterStatusFacts, published_on
from services.collection.settings import CollectionSettings
from services.collection.taxpayers import events as taxpayers_events
from services.collection.taxpayers import projection as taxpayers_projection
from services.collection.taxpayers import wiring as taxpayers
from services.collection.taxpayers.domain import person_fact
from services.collection.taxpayers.queries import (
    DeathFacts,
    TaxpayerFacts,
    linked_in_village,
    linked_villages,
    links_of,
)
from services.collection.taxpayers.stream import taxpayer_stream
from services.collection.treasury.queries import VillageVoucherFacts
from services.collection.virtual_households import events as virtual_households_events
from services.collection.virtual_households import projection as virtual_households_projection
from services.collection.virtual_households import wiring as virtual_households
from services.collection.virtual_households.queries import AgentFacts
from shared.contracts import notification as n
from shared.contracts import registration as r
from shared.contracts import subsidy as s
from shared.contracts.message import Message
from shared.eventstore.database import Connection
from shared.eventstore.types import EventTypes
from shared.kernel.division import campaign_id
from shared.kernel.events import DayBegun
from shared.policy.registry import PackRegistry, open_registry
from shared.policy.terms import NoticeKind
from shared.web.capability import Capability, joined
from shared.web.service import Ports, ServiceDefinition, ServiceDescription

RECEIVES: tuple[type[Message], ...] = (
    r.RegistrationInfoTransmittedV1,
    r.SpecialPaymentAssessedV1,
    r.EmployeeInsuranceReportedV1,
    r.OutOfAreaCoverReportedV1,
    r.SpecialIdentityMarkedV1,
    r.SpecialIdentityRemovedV1,
    r.DeathReportedV1,
    r.DeathReportCorrectedV1,
    r.CollectionInfoAcknowledgedV1,
    r.BookkeepingEntriesPostedV1,
    r.EnrolmentEnteredV1,
    r.RefundVerifiedV1,
    r.RefundVerificationRejectedV1,
    s.SubsidyEntitlementResolvedV1,
    s.SubsidyEntitlementRevokedV1,
    s.GovernmentPaymentSubmittedV1,
    s.RefundApprovedV1,
    n.RosterNoticeClosedV1,
    n.RosterObjectionRaisedV1,
    n.PaymentNoticeClosedV1,
    n.PaymentObjectionRaisedV1,
)

TYPES = EventTypes(
    [
        DayBegun,
        *events_in(
            obligations_events,
            campaigns_events,
            history_events,
            taxpayers_events,
            virtual_households_events,
            assessment_events,
            roster_events,
        ),
        *money_events(),
    ],
    RECEIVES,
)

METADATA = (
    obligations_projection.metadata,
    campaigns_projection.metadata,
    history_projection.metadata,
    taxpayers_projection.metadata,
    virtual_households_projection.metadata,
    roster_projection.metadata,
    *money_metadata(),
)


_PAYMENT_NOTICES = (NoticeKind.POST_TREASURY, NoticeKind.YEAR_END)
"""Notices that show what was paid and entered: with them a year becomes history."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """Every fact source, once: a batch then asks each of them one query."""

    campaigns: CampaignFacts
    taxpayers: TaxpayerFacts
    deaths: DeathFacts
    agents: AgentFacts
    roster_lines: RosterFacts
    rosters: RosterStatusFacts


def _registering(ports: Ports, packs: PackRegistry, facts: _Facts, past: HistoryReader) -> list[Capability]:
    """From the campaign's opening to the final roster."""

    def default_campaign(village: str, year: int) -> str | None:
        pack = packs.covering(village, year)
        return campaign_id(pack.region.division, year) if pack is not None else None

    sources = roster.RosterSources(
        facts.campaigns,
        facts.deaths,
        VillageVoucherFacts(),
        assessed_in_village,
        past.payers,
        paid_in_village,
    )
    return [
        campaigns.capability(ports, packs),
        taxpayers.capability(ports, facts.campaigns, default_campaign, assess_linked),
        history.capability(ports, past),
        virtual_households.capability(ports, facts.campaigns),
        assessment.capability(
            ports,
            packs,
            facts.campaigns,
            facts.taxpayers,
            Persons(taxpayer_stream, person_fact),
            links_of,
            linked_villages,
            linked_in_village,
        ),
        roster.capability(ports, sources),
    ]


def describe(ports: Ports) -> ServiceDescription:
    """All capabilities, wired."""
    packs = open_registry(ports.settings.packs)
    facts = _Facts(
        CampaignFacts(packs), TaxpayerFacts(), DeathFacts(), AgentFacts(), RosterFacts(), RosterStatusFacts()
    )

    async def published(connection: Connection, village: str, year: int) -> bool:
        """The notice of what was paid is over; a plan without one asks for none."""
        campaigns = [campaign_id(village[:length], year) for length in (6, 9)]
        for campaign, fact in (await facts.campaigns.load(connection, campaigns)).items():
            if fact.pack is not None and any(fact.pack.notice(kind) is not None for kind in _PAYMENT_NOTICES):
                return await published_on(connection, campaign, village) is not None
        return True

    past = HistoryReader(booked_in_village, published, facts.taxpayers, facts.deaths)
    money = wire_money(
        ports,
        MoneyFacts(
            facts.campaigns, facts.deaths, facts.roster_lines, facts.agents, facts.rosters, open_campaigns,
            past.of_village,
        ),
    )  # fmt: skip
    whole = joined([*_registering(ports, packs, facts, past), *money.capabilities])

    async def packs_agree() -> str | None:
        async with ports.database.read() as connection:
            faulty = await mismatched_campaigns(connection, packs)
        return f"PACK_MISMATCH {' '.join(faulty)}" if faulty else None

    return ServiceDescription(
        routers=whole.routers,
        thin=money.thin,
        projections=whole.projections,
        reactions=whole.reactions,
        publications=whole.publications,
        checks=[packs_agree],
        gauges=money.gauges,
        facts=lambda: {"packs": {f"{pack.id}/{pack.version}": pack.digest for pack in packs}},
    )


SERVICE = ServiceDefinition(
    name="collection",
    title="征缴 Collection",
    types=TYPES,
    describe=describe,
    receives=RECEIVES,
    metadata=METADATA,
    migrations="services.collection.migrations",
    settings=CollectionSettings,
)


def create_app() -> FastAPI:
    """The factory uvicorn calls; nothing happens on import."""
    from shared.web.assemble import production_app

    return production_app(SERVICE)
