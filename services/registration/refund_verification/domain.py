"""Whether a payment may go back (退费核验). Pure.

Before entitlement begins a payment is refundable for the reasons below; afterwards only money that never
bought cover is: a duplicate, one taken after death, one that fitted nothing (I-28, 医保办函〔2021〕11号 art. 16).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.registration.refund_verification import events as e
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

CLAUSE = "I-28 EXT:医保办函〔2021〕11号"
MISFITS = ("OUT_OF_WINDOW", "WRONG_AMOUNT")


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What collection asks. remains: another effective payment of the same leg stands."""

    refund_no: str
    person_id: str
    payment_line_id: str
    insurance: Insurance
    year: int
    fen: int
    reason: str
    paid_on: dt.date
    remains: bool
    round: int = 1


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What registration knows. cover_from: first day of the cover the payment buys."""

    known: bool
    died_on: dt.date | None
    cover_from: dt.date


def verify_refund(request: RefundRequest, circumstances: Circumstances) -> list[Event]:
    """One decision per question: a refund that was cancelled or refused and is asked for again is judged anew.

    The same question delivered twice is one command, by its idempotency key.
    """
    rule = _objection(request, circumstances)
    if rule:
        return [
            e.RefundVerificationRejected(
                refund_no=request.refund_no,
                person_id=request.person_id,
                payment_line_id=request.payment_line_id,
                insurance=request.insurance,
                year=request.year,
                rule=rule,
                clause=CLAUSE,
                round=request.round,
            )
        ]
    terminates = not request.remains and request.reason in ("DIED_BEFORE_PERIOD", "PAID_AFTER_DEATH")
    return [
        e.RefundVerified(
            refund_no=request.refund_no,
            person_id=request.person_id,
            payment_line_id=request.payment_line_id,
            insurance=request.insurance,
            year=request.year,
            fen=request.fen,
            rule=request.reason,
            clause=CLAUSE,
            terminates_enrolment=terminates,
            round=request.round,
        )
    ]


def _objection(request: RefundRequest, circumstances: Circumstances) -> str:
    """Rule that stands against the refund; empty when none does."""
    if not circumstances.known:
        return "PERSON_UNKNOWN"
    died_on = circumstances.died_on
    match request.reason:
        case "DUPLICATE":
            return "" if request.remains else "NOT_DUPLICATE"
        case "PAID_AFTER_DEATH":
            return "" if died_on is not None and request.paid_on > died_on else "NOT_PAID_AFTER_DEATH"
        case "DIED_BEFORE_PERIOD":
            return _died_before_period(request, died_on, circumstances.cover_from)
        case reason if reason in MISFITS:
            return ""
        case _:
            return "REASON_NOT_REFUNDABLE"


def _died_before_period(request: RefundRequest, died_on: dt.date | None, cover_from: dt.date) -> str:
    if request.insurance is Insurance.PENSION:
        return "PENSION_INHERITABLE"
    if died_on is None:
        return "NOT_DECEASED"
    return "" if died_on < cover_from else "ENTITLEMENT_BEGUN"
