"""Wiring of the special assessment capability."""

from __future__ import annotations

from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Enrolments, Residents, SpecialIdentities
from services.registration.special_assessment.api import assessments_import, router
from services.registration.special_assessment.handlers import SpecialPayments
from services.registration.special_assessment.publication import SpecialAssessmentPublication
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    residents: Residents,
    enrolments: Enrolments,
    identities: SpecialIdentities,
    policies: PolicyFacts,
) -> Capability:
    """Everything ``app.py`` needs of special assessment."""
    payments = SpecialPayments(ports.store, residents, enrolments, identities, policies)
    upload = assessments_import(payments)
    return Capability(
        publications=(SpecialAssessmentPublication(),),
        routers=(router(payments, ports, upload),),
        imports=(upload,),
    )
