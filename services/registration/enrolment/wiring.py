"""Wiring of the enrolment capability."""

from __future__ import annotations

from services.registration.enrolment.api import enrolments_import, router
from services.registration.enrolment.consumer import CollectionReturns, RefundsEndEnrolments
from services.registration.enrolment.handlers import Enrolments
from services.registration.enrolment.projection import EnrolmentsProjection
from services.registration.enrolment.publication import EnrolmentPublication
from services.registration.enrolment.queries import EnrolmentQueries
from services.registration.enrolment.reactions import (
    EmployeeCoverConflicts,
    ParticularsChanged,
    TransmitRegistrations,
)
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Residents
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, residents: Residents, policies: PolicyFacts) -> Capability:
    """Everything ``app.py`` needs of enrolment."""
    enrolments = Enrolments(ports.store, ports.clock, residents, policies)
    upload = enrolments_import(enrolments)
    return Capability(
        projections=(EnrolmentsProjection(),),
        reactions=(
            TransmitRegistrations(enrolments),
            ParticularsChanged(),
            EmployeeCoverConflicts(),
            CollectionReturns(),
            RefundsEndEnrolments(),
        ),
        publications=(EnrolmentPublication(),),
        routers=(router(enrolments, EnrolmentQueries(ports.database), ports, upload),),
        imports=(upload,),
    )
