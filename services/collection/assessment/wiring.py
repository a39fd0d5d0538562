"""Assessment, wired; the obligation's read model and messages go with it."""

from __future__ import annotations

from services.collection.assessment.api import router, tiers_import
from services.collection.assessment.consumer import NoteEntitlements, NoteSpecialAssessments
from services.collection.assessment.handlers import Assessments, Persons
from services.collection.assessment.quoting import Packs, Quotes
from services.collection.assessment.reactions import (
    AssessCampaign,
    AssessLinked,
    AssessVillage,
    LinkedInVillage,
    LinkedVillages,
    LinksOf,
)
from services.collection.obligations.projection import ObligationProjection
from services.collection.obligations.publication import ObligationPublication
from shared.eventstore.commands import FactSource
from shared.web.capability import Capability
from shared.web.service import Ports


def capability(
    ports: Ports,
    packs: Packs,
    campaign_facts: FactSource,
    taxpayer_facts: FactSource,
    persons: Persons,
    links_of: LinksOf,
    linked_villages: LinkedVillages,
    linked_in_village: LinkedInVillage,
) -> Capability:
    """Assessment; facts and queries come from campaigns and taxpayers."""
    assessments = Assessments(ports.store, persons, campaign_facts, ports.clock)
    quotes = Quotes(packs, campaign_facts, ports.database)
    kind = tiers_import(assessments)
    ports.imports.register(kind)
    return Capability(
        projections=[ObligationProjection()],
        reactions=[
            AssessLinked(assessments, links_of),
            AssessCampaign(assessments, linked_villages),
            AssessVillage(assessments, linked_in_village),
            NoteEntitlements(assessments),
            NoteSpecialAssessments(assessments, taxpayer_facts),
        ],
        publications=[ObligationPublication()],
        routers=[router(assessments, quotes, ports, kind)],
    )
