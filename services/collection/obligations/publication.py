"""What the other services learn of obligations: assessments, and money that arrived on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.collection.obligations import events as e
from shared.contracts import collection as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class ObligationPublication:
    """Assessed, reassessed, refused; received, duplicate, after death."""

    name = "obligations"
    handles: tuple[type[Event], ...] = (
        e.ContributionAssessed,
        e.ContributionReassessed,
        e.AssessmentRefused,
        e.PaidTermsKept,
        e.BirthdayHoldFound,
        e.PaymentReceived,
        e.DuplicatePaymentDetected,
        e.PostDeathPaymentDetected,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        match event:
            case e.ContributionAssessed():
                return [_assessed(event)]
            case e.AssessmentRefused():
                return [
                    c.AssessmentRefusedV1(
                        person_id=event.person_id, campaign=event.campaign, village=event.village,
                        insurance=event.insurance, year=event.year, rule=event.rule or event.code,
                    )
                ]  # fmt: skip
            case e.PaidTermsKept():
                return [
                    c.PaidTermsKeptV1(
                        person_id=event.person_id, campaign=event.campaign, insurance=event.insurance,
                        year=event.year, standard_fen=event.standard_fen, legs=event.legs,
                        reason=event.reason, paid_on=event.paid_on,
                    )
                ]  # fmt: skip
            case e.BirthdayHoldFound():
                return [
                    c.BirthdayHoldFoundV1(
                        person_id=event.person_id, campaign=event.campaign, village=event.village,
                        insurance=event.insurance, year=event.year, birthday=event.birthday,
                    )
                ]  # fmt: skip
            case e.PaymentReceived():
                return [_received(event)]
            case e.DuplicatePaymentDetected():
                return [
                    c.DuplicatePaymentDetectedV1(
                        person_id=event.person_id, line_id=event.line_id,
                        effective_line_id=event.effective_line_id, campaign=event.campaign,
                        village=event.village, insurance=event.insurance, year=event.year, fen=event.fen,
                    )
                ]  # fmt: skip
            case e.PostDeathPaymentDetected():
                return [
                    c.PostDeathPaymentDetectedV1(
                        person_id=event.person_id, line_id=event.line_id, campaign=event.campaign,
                        village=event.village, insurance=event.insurance, year=event.year, fen=event.fen,
                    )
                ]  # fmt: skip
            case _:
                return []


def _assessed(event: e.ContributionAssessed) -> Message:
    return c.ContributionAssessedV1(
        person_id=event.person_id,
        assessment_id=event.assessment_id,
        version=event.version,
        campaign=event.campaign,
        village=event.village,
        insurance=event.insurance,
        year=event.year,
        standard_fen=event.standard_fen,
        legs=event.legs,
        category=event.category,
        tier_yuan=event.tier_yuan,
        birth=event.birth,
        pack_id=event.pack_id,
        pack_version=event.pack_version,
    )


def _received(event: e.PaymentReceived) -> Message:
    return c.PaymentReceivedV1(
        person_id=event.person_id,
        payment_id=event.payment_id,
        line_id=event.line_id,
        order_no=event.order_no,
        channel=event.channel,
        campaign=event.campaign,
        village=event.village,
        insurance=event.insurance,
        year=event.year,
        fen=event.fen,
        paid_at=event.paid_at,
        agent_id=event.agent_id,
    )
