"""Wiring of the special identities capability."""

from __future__ import annotations

from services.registration.sources import Enrolments, Residents
from services.registration.special_identities.api import router
from services.registration.special_identities.consumer import ImportSubsidyLines
from services.registration.special_identities.handlers import SpecialIdentityImports
from services.registration.special_identities.publication import SpecialIdentityPublication
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, residents: Residents, enrolments: Enrolments) -> Capability:
    """Everything ``app.py`` needs of special identities."""
    imports = SpecialIdentityImports(ports.store, residents, enrolments)
    return Capability(
        reactions=(ImportSubsidyLines(imports),),
        publications=(SpecialIdentityPublication(),),
        routers=(router(imports),),
    )
