"""Wiring of the entitlements capability."""

from __future__ import annotations

from services.registration.entitlements.api import Division, router
from services.registration.entitlements.consumer import NoteGovernmentLegs
from services.registration.entitlements.handlers import Entitlements
from services.registration.entitlements.projection import EntitlementsProjection, PaidLines
from services.registration.entitlements.publication import EntitlementsPublication
from services.registration.entitlements.queries import EntitlementQueries
from services.registration.entitlements.reactions import DeathsEndCover, ReviewCover
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Bookings, Enrolments, Residents
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    residents: Residents,
    enrolments: Enrolments,
    bookings: Bookings,
    policies: PolicyFacts,
    division_of: Division,
) -> Capability:
    """Everything ``app.py`` needs of entitlements."""
    entitlements = Entitlements(residents, enrolments, bookings, policies)
    return Capability(
        projections=(EntitlementsProjection(), PaidLines()),
        reactions=(NoteGovernmentLegs(), ReviewCover(entitlements), DeathsEndCover(entitlements)),
        publications=(EntitlementsPublication(),),
        routers=(router(EntitlementQueries(ports.database), division_of),),
    )
