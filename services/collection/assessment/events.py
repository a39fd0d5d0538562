"""Events of assessment. They lie on the obligation's stream and so are defined below: see obligations/events.py."""

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
