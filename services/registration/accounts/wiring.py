"""Wiring of the accounts capability."""

from __future__ import annotations

from services.registration.accounts.api import Division, router
from services.registration.accounts.consumer import BookReturns, NoteSpouses, ReverseRefunds
from services.registration.accounts.handlers import Bookkeeping
from services.registration.accounts.projection import AccountEntries, BookingTotals, FiscalTotals
from services.registration.accounts.publication import AccountsPublication
from services.registration.accounts.queries import AccountQueries
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import CoverReviews, Enrolments, Residents, SpecialAssessments
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    residents: Residents,
    enrolments: Enrolments,
    assessments: SpecialAssessments,
    policies: PolicyFacts,
    covers: CoverReviews,
    division_of: Division,
) -> Capability:
    """Everything ``app.py`` needs of accounts."""
    bookkeeping = Bookkeeping(ports.clock, residents, enrolments, assessments, policies, covers)
    return Capability(
        projections=(BookingTotals(), AccountEntries(), FiscalTotals()),
        reactions=(BookReturns(bookkeeping), NoteSpouses(bookkeeping), ReverseRefunds(bookkeeping)),
        publications=(AccountsPublication(),),
        routers=(router(AccountQueries(ports.database), bookkeeping, ports.store, division_of),),
    )
