"""Composition root of subsidy: the only module that wires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI

from services.subsidy.eligibility import api as eligibility_api
from services.subsidy.eligibility import events as eligibility_events
from services.subsidy.eligibility import projection as eligibility_projection
from services.subsidy.eligibility import queries as eligibility_queries
from services.subsidy.eligibility.consumer import (
    FollowDeaths,
    KeepPaidTerms,
    ResolveClaims,
    ReviewEntitlements,
)
from services.subsidy.eligibility.handlers import Entitlements
from services.subsidy.eligibility.publication import EntitlementPublication
from services.subsidy.fiscal import api as fiscal_api
from services.subsidy.fiscal import events as fiscal_events
from services.subsidy.fiscal import projection as fiscal_projection
from services.subsidy.fiscal.consumer import ClaimFiscalSubsidies
from services.subsidy.fiscal.publication import FiscalPublication
from services.subsidy.funding import api as funding_api
from services.subsidy.funding import events as funding_events
from services.subsidy.funding import projection as funding_projection
from services.subsidy.funding.consumer import TakeBackLegs, TakeRefundRequests
from services.subsidy.funding.publication import FundingPublication
from services.subsidy.funding.queries import SubmittedLegs
from services.subsidy.lists import api as lists_api
from services.subsidy.lists import events as lists_events
from services.subsidy.lists import projection as lists_projection
from services.subsidy.lists import queries as lists_queries
from services.subsidy.lists.publication import ListPublication
from services.subsidy.policies import projection as policies_projection
from services.subsidy.policies.projection import CampaignPacksProjection
from services.subsidy.policies.queries import CampaignPacks
from shared.contracts import registration as r
from shared.contracts.collection import (
    CampaignOpenedV1,
    GovernmentLegRefusedV1,
    PaidTermsKeptV1,
    PolicyPackPublishedV1,
    RefundApprovalRequestedV1,
)
from shared.contracts.message import Message
from shared.eventstore.types import EventTypes
from shared.kernel.events import DayBegun, Event
from shared.policy.registry import open_registry
from shared.web.service import Ports, ServiceDefinition, ServiceDescription

EVENTS: tuple[type[Event], ...] = (
    DayBegun,
    *lists_events.EVENTS,
    *eligibility_events.EVENTS,
    *funding_events.EVENTS,
    *fiscal_events.EVENTS,
)

RECEIVES: tuple[type[Message], ...] = (
    r.PersonRegisteredV1,
    r.SubsidyBeneficiaryImportedV1,
    r.SubsidyImportFailedV1,
    r.DeathReportedV1,
    r.DeathReportCorrectedV1,
    r.FiscalHeadsCountedV1,
    CampaignOpenedV1,
    GovernmentLegRefusedV1,
    PaidTermsKeptV1,
    PolicyPackPublishedV1,
    RefundApprovalRequestedV1,
)


def describe(ports: Ports) -> ServiceDescription:
    """Capabilities and their readers, wired to the ports."""
    packs = open_registry(ports.settings.packs)
    pack_of = CampaignPacks(packs).of
    entitlements = Entitlements(eligibility_queries.DeathFacts(), SubmittedLegs())

    async def find(numbers: Sequence[str]) -> Mapping[str, str]:
        async with ports.database.read() as connection:
            return await ports.vault.find_people(connection, numbers)

    return ServiceDescription(
        routers=(
            lists_api.router(ports.store, ports.database, ports.clock, pack_of, find),
            eligibility_api.router(ports.database),
            fiscal_api.router(ports.store, ports.database, pack_of, find),
            funding_api.router(
                ports.store,
                ports.database,
                ports.clock,
                eligibility_queries.totals,
                eligibility_queries.payable,
            ),
        ),
        projections=(
            CampaignPacksProjection(),
            lists_projection.ListProjection(),
            eligibility_projection.EntitlementProjection(),
            funding_projection.FundProjection(),
            fiscal_projection.FiscalProjection(),
        ),
        reactions=(
            ResolveClaims(entitlements, pack_of, lists_queries.headers),
            FollowDeaths(entitlements, pack_of),
            ReviewEntitlements(entitlements, pack_of),
            KeepPaidTerms(entitlements),
            ClaimFiscalSubsidies(),
            TakeRefundRequests(),
            TakeBackLegs(),
        ),
        publications=(ListPublication(), EntitlementPublication(), FundingPublication(), FiscalPublication()),
        facts=lambda: {"packs": {f"{pack.id}/{pack.version}": pack.digest for pack in packs}},
    )


SERVICE = ServiceDefinition(
    name="subsidy",
    title="资助 Subsidy",
    types=EventTypes(EVENTS, RECEIVES),
    receives=RECEIVES,
    identities=(r.PersonRegisteredV1,),
    describe=describe,
    metadata=(
        policies_projection.metadata,
        lists_projection.metadata,
        eligibility_projection.metadata,
        funding_projection.metadata,
        fiscal_projection.metadata,
    ),
    migrations="services.subsidy.migrations",
    finds_by_number=True,
)


def create_app() -> FastAPI:
    """The factory uvicorn calls; nothing happens on import."""
    from shared.web.assemble import production_app

    return production_app(SERVICE)
