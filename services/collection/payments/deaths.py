"""What a death, or its withdrawal, does to money that is recorded already (I-16, scenario 4). Pure."""

from __future__ import annotations

from typing import Any

from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation, PaidLine, evolve
from shared.kernel.clock import SHANGHAI
from shared.kernel.events import Event


def apply_death(state: Obligation, noted: e.PayerDeathNoted) -> list[Event]:
    """Events on the obligation: the note when it says something new, then a finding per line it touches.

    A line paid after the death becomes PostDeathPaymentDetected. A line found so before, which by the
    corrected report was paid in time, is withdrawn; unless it was effective before it is judged anew.
    """
    events: list[Event] = []
    if (noted.died_on, noted.disputed) != (state.died_on, state.death_disputed):
        events.append(noted)
    for line in list(state.lines.values()):
        found = _recheck(state, line, noted)
        for event in found:
            state = evolve(state, event)
        events += found
    return events


def _recheck(state: Obligation, line: PaidLine, noted: e.PayerDeathNoted) -> list[Event]:
    died_on = noted.died_on
    late = died_on is not None and line.paid_at.astimezone(SHANGHAI).date() > died_on
    if line.standing == "EFFECTIVE" and late and died_on is not None:
        return [
            e.PostDeathPaymentDetected(
                **_taken(line, noted),
                died_on=died_on,
                was_effective=True,
            )
        ]
    if line.standing == "AFTER_DEATH" and not late:
        withdrawn = e.PostDeathFindingWithdrawn(line_id=line.line_id, person_id=noted.person_id)
        return [withdrawn, *_judged_anew(state, line, noted)]
    return []


def _judged_anew(state: Obligation, line: PaidLine, noted: e.PayerDeathNoted) -> list[Event]:
    """Money taken when the person was thought dead was never effective: say what it is now."""
    effective = state.effective
    due = state.assessment
    if effective is not None:
        return [
            e.DuplicatePaymentDetected(
                **_taken(line, noted),
                effective_line_id=effective.line_id,
            )
        ]
    if line.was_effective:
        return []
    if due is None or due.personal_fen != line.fen:
        return [
            e.MisfitPaymentDetected(
                kind="WRONG_AMOUNT",
                **_taken(line, noted),
            )
        ]
    return [
        e.PaymentReceived(
            **_taken(line, noted),
            assessment_id=due.assessment_id,
            assessment_version=due.version,
            standard_fen=due.standard_fen,
            tier_yuan=due.tier_yuan,
            special_assessment_no=due.special_assessment_no,
        )
    ]


def _taken(line: PaidLine, noted: e.PayerDeathNoted) -> dict[str, Any]:
    return {
        "payment_id": line.line_id.rpartition("/")[0],
        "line_id": line.line_id,
        "order_no": line.order_no,
        "channel": line.channel,
        "person_id": noted.person_id,
        "insurance": noted.insurance,
        "year": noted.year,
        "campaign": line.campaign,
        "village": line.village,
        "fen": line.fen,
        "paid_at": line.paid_at,
        "agent_id": line.agent_id,
        "receipt_serial": line.receipt_serial,
    }
