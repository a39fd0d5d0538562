"""The pure question to a pack: what does this person owe, who pays, and why."""

from __future__ import annotations

from shared.kernel.errors import Refusal
from shared.policy.assessment import Assessment, AssessmentRequest, Outcome
from shared.policy.eligibility import check_channel_named, check_dates, check_eligible
from shared.policy.medical import assess_medical
from shared.policy.pack import Pack
from shared.policy.pension import assess_pension
from shared.policy.reckoning import Reckoning, RefusedError
from shared.policy.terms import Insurance


def eligibility_refusal(pack: Pack, request: AssessmentRequest) -> Refusal | None:
    """Why the plan does not cover a person for the insurance (I-04, I-05), or None; no amount is judged.

    ``paid_at`` is the day of registration; window and channel play no part.
    """
    try:
        check_eligible(Reckoning(pack, request))
    except RefusedError as refused:
        return refused.refusal
    return None


def assess(pack: Pack, request: AssessmentRequest) -> Assessment:
    """Assess one person for one insurance and year. Pure and deterministic; refuses, never raises.

    Σ legs = standard (I-12); tiers per I-13; cover per I-25; subsidies per I-26.
    """
    sheet: Reckoning | None = None
    try:
        sheet = Reckoning(pack, request)
        check_dates(sheet)
        check_channel_named(sheet)
        check_eligible(sheet)
        if request.insurance is Insurance.MEDICAL:
            return assess_medical(sheet)
        return assess_pension(sheet)
    except RefusedError as refused:
        if sheet is None:
            return Assessment(outcome=Outcome.REFUSED, pack=pack.ref, refusal=refused.refusal)
        return sheet.refused(refused.refusal)
