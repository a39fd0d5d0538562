"""Wiring of the vital capability."""

from __future__ import annotations

from services.registration.sources import Residents
from services.registration.vital.api import Find, FindMany, deaths_import, router
from services.registration.vital.handlers import Vitals
from services.registration.vital.projection import DeathsProjection
from services.registration.vital.publication import VitalPublication
from services.registration.vital.queries import VitalQueries
from services.registration.vital.reactions import OverdueReports, ReportsShowBatches
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(ports: Ports, residents: Residents, find: Find, find_many: FindMany) -> Capability:
    """Everything ``app.py`` needs of vital. find, find_many: people by number."""
    vitals = Vitals(ports.store, ports.clock, residents)
    upload = deaths_import(vitals, find_many)
    return Capability(
        projections=(DeathsProjection(),),
        reactions=(OverdueReports(), ReportsShowBatches()),
        publications=(VitalPublication(),),
        routers=(router(vitals, VitalQueries(ports.database), find, ports, upload),),
        imports=(upload,),
    )
