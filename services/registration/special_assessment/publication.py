"""Special assessments as contract messages (特殊缴费业务交互)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.special_assessment.events import SpecialPaymentAssessed
from shared.contracts.message import Message
from shared.contracts.registration import SpecialPaymentAssessedV1
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class SpecialAssessmentPublication:
    """特殊缴费核定."""

    name = "special-assessment"
    handles: tuple[type[Event], ...] = (SpecialPaymentAssessed,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """Collection takes exactly what it says."""
        event: SpecialPaymentAssessed = recorded.event
        return [
            SpecialPaymentAssessedV1(
                person_id=event.person_id,
                assessment_no=event.assessment_no,
                kind=event.kind,
                insurance=event.insurance,
                year=event.year,
                personal_fen=event.personal_fen,
                fiscal_fen=event.fiscal_fen,
                entitled_from=event.entitled_from,
                entitled_to=event.entitled_to,
                valid_to=event.valid_to,
                rule=event.rule,
                clause=event.clause,
                tier_yuan=event.tier_yuan,
            )
        ]
