"""Wiring of the data entry capability."""

from __future__ import annotations

from services.registration.data_entry.api import entries_import, router
from services.registration.data_entry.forms import EnrolledRows
from services.registration.data_entry.handlers import DataEntry
from services.registration.data_entry.projection import EntryLines
from services.registration.data_entry.publication import DataEntryPublication
from services.registration.data_entry.queries import EntryLineFacts, EntryQueries
from services.registration.policies.queries import PolicyFacts
from services.registration.sources import Enrolments, Residents
from shared.eventstore.commands import FactSource
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    residents: Residents,
    enrolments: Enrolments,
    policies: PolicyFacts,
    paid: FactSource,
    enrolled: EnrolledRows,
) -> Capability:
    """Everything ``app.py`` needs of the data entry."""
    entry = DataEntry(ports.store, ports.clock, residents, enrolments, policies, EntryLineFacts(), paid)
    upload = entries_import(entry)
    return Capability(
        projections=(EntryLines(),),
        publications=(DataEntryPublication(),),
        routers=(router(entry, EntryQueries(ports.database), ports, upload, enrolled),),
        imports=(upload,),
    )
