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


def handlers(
    residents: Residents, enrolments: Enrolments, bookings: Bookings, policies: PolicyFacts
) -> Entitlements:
    """The capability's handlers; bookkeeping is given their review."""
    return Entitlements(residents, enrolments, bookings, policies)


def capability(ports: Ports, entitlements: Entitlements, division_of: Division) -> Capability:
    """Everything ``app.py`` needs of entitlements."""
    return Capability(
        projections=(EntitlementsProjection(), PaidLines()),
        reactions=(
            NoteGovernmentLegs(entitlements),
            ReviewCover(entitlements),
            DeathsEndCover(entitlements),
        ),
        publications=(EntitlementsPublication(),),
        routers=(router(EntitlementQueries(ports.database), division_of),),
    )
