"""Events of assessment: they lie on the obligation's stream, so obligations/events.py defines them."""

from __future__ import annotations

from services.collection.obligations.events import (
    AssessmentRefused,
    BirthdayHoldFound,
    ContributionAssessed,
    ContributionReassessed,
    EntitlementNoted,
    PensionTierSelected,
    SpecialAssessmentNoted,
)

__all__ = [
    "AssessmentRefused",
    "BirthdayHoldFound",
    "ContributionAssessed",
    "ContributionReassessed",
    "EntitlementNoted",
    "PensionTierSelected",
    "SpecialAssessmentNoted",
]
