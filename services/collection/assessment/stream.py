"""The process stream of village assessments. Obligations' own stream: services.collection.obligations.stream."""

from __future__ import annotations

from services.collection.assessment.events import VillageAssessmentDue
from shared.eventstore.streams import Category, Stream


def _evolve(count: int, event: object) -> int:
    return count + isinstance(event, VillageAssessmentDue)


PROCESS: Category[int] = Category("process", 0, _evolve)


def village_process(campaign: str, village: str, year: int) -> Stream[int]:
    """``process:assessment:{campaign}:{village}``; its state counts how often the village was due."""
    return PROCESS.stream("assessment", campaign, village, era=year)
