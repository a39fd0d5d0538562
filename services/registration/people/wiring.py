"""Wiring of the people capability."""

from __future__ import annotations

from services.registration.people.api import router
from services.registration.people.handlers import People
from services.registration.people.imports import people_imports
from services.registration.people.projection import PeopleProjection
from services.registration.people.publication import PeoplePublication
from services.registration.people.queries import PeopleQueries
from shared.web.capability import Capability
from shared.web.service import Ports


def handlers(ports: Ports) -> People:
    """The capability's handlers; others are given ``find``."""
    return People(ports.store, ports.database, ports.clock, ports.runtime, ports.vault)


def capability(ports: Ports, people: People) -> Capability:
    """Everything ``app.py`` needs of people."""
    uploads = people_imports(people)
    return Capability(
        projections=(PeopleProjection(),),
        publications=(PeoplePublication(),),
        routers=(router(people, PeopleQueries(ports.database, ports.vault), ports, uploads),),
        imports=uploads.kinds(),
    )
