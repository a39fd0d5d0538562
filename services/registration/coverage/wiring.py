"""Wiring of the coverage capability."""

from __future__ import annotations

from services.registration.coverage.api import CircumstancesOf, Coverage, Groups, Known, Unpaid, router
from services.registration.coverage.projection import CoverElsewhere
from services.registration.policies.queries import PolicyFacts
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    policies: PolicyFacts,
    groups: Groups,
    unpaid: Unpaid,
    circumstances: CircumstancesOf,
    known: Known,
) -> Capability:
    """Everything ``app.py`` needs of coverage. groups, unpaid, circumstances, known: see ``census.py``."""
    coverage = Coverage(ports.database, policies, groups, unpaid, circumstances, known)
    return Capability(
        projections=(CoverElsewhere(),),
        routers=(router(coverage, ports.database, ports.vault),),
    )
