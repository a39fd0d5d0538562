"""Events of assessment's own process. What it decides lies on the obligation: see obligations/events.py."""

from __future__ import annotations

from shared.kernel.events import Event


class VillageAssessmentDue(Event, frozen=True, kw_only=True):
    """村居待核定: everyone linked in a village is to be assessed (again). Stream ``process:assessment:…``.

    A campaign's opening or a revised pack concerns a whole county; a fan-out by village keeps each step
    small. reason: as ContributionReassessed.
    """

    campaign: str
    village: str
    reason: str
