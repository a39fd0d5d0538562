"""Composition root of registration: the only module that wires."""

from __future__ import annotations

from fastapi import FastAPI

from services.registration import census, directory
from services.registration.accounts import events as accounts_events
from services.registration.accounts import projection as accounts_projection
from services.registration.accounts import wiring as accounts
from services.registration.coverage import projection as coverage_projection
from services.registration.coverage import wiring as coverage
from services.registration.data_entry import events as data_entry_events
from services.registration.data_entry import projection as data_entry_projection
from services.registration.data_entry import wiring as data_entry
from services.registration.enrolment import events as enrolment_events
from services.registration.enrolment import projection as enrolment_projection
from services.registration.enrolment import wiring as enrolment
from services.registration.entitlements import events as entitlements_events
from services.registration.entitlements import projection as entitlements_projection
from services.registration.entitlements import wiring as entitlements
from services.registration.entitlements.queries import PaidFacts
from services.registration.people import events as people_events
from services.registration.people import projection as people_projection
from services.registration.people import wiring as people
from services.registration.people.queries import PeopleQueries
from services.registration.policies import projection as policies_projection
from services.registration.policies import wiring as policies
from services.registration.policies.queries import PolicyFacts
from services.registration.refund_verification import events as refund_events
from services.registration.refund_verification import wiring as refunds
from services.registration.settings import RegistrationSettings
from services.registration.special_assessment import events as special_assessment_events
from services.registration.special_assessment import wiring as special_assessment
from services.registration.special_identities import events as special_identities_events
from services.registration.special_identities import wiring as special_identities
from services.registration.tasks import events as tasks_events
from services.registration.tasks import projection as tasks_projection
from services.registration.tasks import wiring as tasks
from services.registration.vital import events as vital_events
from services.registration.vital import projection as vital_projection
from services.registration.vital import wiring as vital
from services.registration.vital.domain import SOURCES
from shared.contracts import collection as c
from shared.contracts import subsidy as s
from shared.eventstore.types import EventTypes
from shared.kernel.events import DayBegun
from shared.policy.registry import open_registry
from shared.web.capability import joined
from shared.web.service import Ports, ServiceDefinition, ServiceDescription

RECEIVES = (
    c.PolicyPackPublishedV1,
    c.CampaignOpenedV1,
    c.CampaignWindowExtendedV1,
    c.RegistrationInfoAcceptedV1,
    c.RegistrationInfoRejectedV1,
    c.RegistrationLinkedV1,
    c.PaymentReceivedV1,
    c.CollectionInfoReturnedV1,
    c.FundAccountDepositedV1,
    c.PaymentDocumentDrawnV1,
    c.PaymentDocumentsConfirmedV1,
    c.RefundVerificationRequestedV1,
    c.RefundPaidV1,
    s.SubsidyLineSubmittedV1,
    s.SubsidyEntitlementResolvedV1,
    s.SubsidyEntitlementRevokedV1,
    s.FamilyPlanningSpouseRecordedV1,
)

TYPES = EventTypes(
    (
        DayBegun,
        *people_events.EVENTS,
        *enrolment_events.EVENTS,
        *vital_events.EVENTS,
        *special_identities_events.EVENTS,
        *special_assessment_events.EVENTS,
        *accounts_events.EVENTS,
        *entitlements_events.EVENTS,
        *data_entry_events.EVENTS,
        *refund_events.EVENTS,
        *tasks_events.EVENTS,
    ),
    RECEIVES,
)

METADATA = (
    people_projection.metadata,
    enrolment_projection.metadata,
    coverage_projection.metadata,
    vital_projection.metadata,
    policies_projection.metadata,
    accounts_projection.metadata,
    entitlements_projection.metadata,
    data_entry_projection.metadata,
    tasks_projection.metadata,
)


def describe(ports: Ports) -> ServiceDescription:
    """Capabilities, each told of the others only through ``directory`` and facts."""
    packs = open_registry(ports.settings.packs)
    facts = PolicyFacts(packs)
    residents = directory.ResidentDirectory()
    enrolments = directory.EnrolmentDirectory()
    identities = directory.SpecialIdentityDirectory()
    assessments = directory.SpecialAssessmentDirectory()
    handlers = people.handlers(ports)
    division_of = PeopleQueries(ports.database, ports.vault).division
    covers = entitlements.handlers(residents, enrolments, directory.BookingDirectory(), facts)
    whole = joined(
        (
            policies.capability(),
            people.capability(ports, handlers),
            enrolment.capability(ports, residents, facts),
            vital.capability(ports, residents, handlers.find, handlers.find_many),
            special_identities.capability(ports, residents, enrolments),
            special_assessment.capability(ports, residents, enrolments, identities, facts),
            accounts.capability(ports, residents, enrolments, assessments, facts, covers, division_of),
            entitlements.capability(ports, covers, division_of),
            data_entry.capability(
                ports, residents, enrolments, facts, PaidFacts(), directory.enrolled_in_village
            ),
            refunds.capability(residents, directory.CoverDirectory()),
            coverage.capability(
                ports, facts, census.groups, census.unpaid, census.circumstances_of, census.anybody_paid
            ),
            tasks.capability(ports),
        )
    )
    for kind in whole.imports:
        ports.imports.register(kind)
    return ServiceDescription(
        routers=whole.routers,
        projections=whole.projections,
        reactions=whole.reactions,
        publications=whole.publications,
        gauges=[tasks.gauges(ports, SOURCES)],
        facts=lambda: {"packs": {f"{pack.id}/{pack.version}": pack.digest for pack in packs}},
    )


SERVICE = ServiceDefinition(
    name="registration",
    title="参保登记 Registration",
    types=TYPES,
    describe=describe,
    receives=RECEIVES,
    metadata=METADATA,
    migrations="services.registration.migrations",
    settings=RegistrationSettings,
    finds_by_number=True,
)


def create_app() -> FastAPI:
    """The factory uvicorn calls; nothing happens on import."""
    from shared.web.assemble import production_app

    return production_app(SERVICE)
