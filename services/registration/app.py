"""Composition root of registration: the only module that wires."""

from __future__ import annotations

from fastapi import FastAPI

from services.registration.directory import EnrolmentDirectory, ResidentDirectory
from services.registration.enrolment import events as enrolment_events
from services.registration.enrolment import projection as enrolment_projection
from services.registration.enrolment import wiring as enrolment
from services.registration.people import events as people_events
from services.registration.people import identity_index
from services.registration.people import projection as people_projection
from services.registration.people import wiring as people
from services.registration.policies import projection as policies_projection
from services.registration.policies import wiring as policies
from services.registration.policies.queries import PolicyFacts
from services.registration.settings import RegistrationSettings, held_packs
from services.registration.vital import events as vital_events
from services.registration.vital import projection as vital_projection
from services.registration.vital import wiring as vital
from shared.contracts import collection as c
from shared.eventstore.types import EventTypes
from shared.kernel.events import DayBegun
from shared.web.capability import joined
from shared.web.service import Ports, ServiceDefinition, ServiceDescription

RECEIVES = (
    c.CampaignOpenedV1,
    c.CampaignWindowExtendedV1,
    c.RegistrationInfoAcceptedV1,
    c.RegistrationInfoRejectedV1,
    c.RegistrationLinkedV1,
    c.RefundPaidV1,
)

TYPES = EventTypes(
    (DayBegun, *people_events.EVENTS, *enrolment_events.EVENTS, *vital_events.EVENTS), RECEIVES
)

METADATA = (
    people_projection.metadata,
    identity_index.metadata,
    enrolment_projection.metadata,
    vital_projection.metadata,
    policies_projection.metadata,
)


def describe(ports: Ports) -> ServiceDescription:
    """Capabilities, each told of the others only through ``directory`` and facts."""
    packs = held_packs(ports.settings.packs)
    facts = PolicyFacts(packs)
    residents = ResidentDirectory()
    handlers = people.handlers(ports)
    whole = joined(
        (
            policies.capability(),
            people.capability(ports, handlers),
            enrolment.capability(ports, residents, facts),
            vital.capability(ports, residents, handlers.find, handlers.find_many),
        )
    )
    for kind in whole.imports:
        ports.imports.register(kind)
    return ServiceDescription(
        routers=whole.routers,
        projections=whole.projections,
        reactions=whole.reactions,
        publications=whole.publications,
        facts=lambda: {"packs": {pack.id: pack.digest for pack in packs.values()}},
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
)


def create_app() -> FastAPI:
    """The factory uvicorn calls; nothing happens on import."""
    from shared.web.assemble import production_app

    return production_app(SERVICE)
