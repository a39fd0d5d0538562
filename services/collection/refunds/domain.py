"""Deciding a refund (I-28, I-31). Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.collection.obligations import events as e
from services.collection.obligations.domain import Obligation, PaidLine
from services.collection.refunds import events as r
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

STANDINGS = {
    "DUPLICATE": "DUPLICATE",
    "AFTER_DEATH": "PAID_AFTER_DEATH",
    "WRONG_AMOUNT": "WRONG_AMOUNT",
    "OUT_OF_WINDOW": "OUT_OF_WINDOW",
}
"""Standing of a line -> reason of its refund."""

DIED_BEFORE_PERIOD = "DIED_BEFORE_PERIOD"
BY_DEATH = frozenset({DIED_BEFORE_PERIOD, "PAID_AFTER_DEATH"})
"""Reasons that rest on the date of death: not paid while sources disagree on it (scenario 4e)."""
OPEN = frozenset({"ACCEPTED", "VERIFIED", "APPROVED"})
RECOVERY_DUE = "RECOVERY_DUE"
IN_FLIGHT = frozenset({"DECLARED", "ISSUED", "DEBITED", "REMITTED", "REJECTED"})
"""Where a line's money can not be reached: the refund is paid before declaration or after treasury entry."""


@dataclass(frozen=True, slots=True)
class Owed:
    """Which obligation, and the line of it that is to be refunded."""

    year: int
    insurance: Insurance
    person_id: str
    line_id: str

    @property
    def refund_no(self) -> str:
        """Derived from the line: one refund per payment line (I-28)."""
        return "F-" + self.line_id.replace("/", "-")


@dataclass(frozen=True, slots=True)
class Refund:
    """State of ``refund:{no}``.

    status: "", ACCEPTED, VERIFIED, APPROVED, SETTLED, REFUSED, CANCELLED, RECOVERY_DUE or RECOVERED.
    approved: the bank may have been told to pay; paid, recovered: day and bank reference. round: how often it
    was requested; a verdict on an earlier request says nothing about this one.
    """

    status: str = ""
    fen: int = 0
    reason: str = ""
    person_id: str = ""
    insurance: Insurance = Insurance.MEDICAL
    year: int = 0
    campaign: str = ""
    village: str = ""
    paid: tuple[str, str] = ("", "")
    approved: bool = False
    recovered: tuple[str, str] = ("", "")
    round: int = 0


def evolve(state: Refund, event: Event) -> Refund:
    """Fold one event."""
    match event:
        case r.RefundRequested():
            return Refund(
                "REQUESTED",
                event.fen,
                event.reason,
                event.person_id,
                event.insurance,
                event.year,
                event.campaign,
                event.village,
                round=state.round + 1,
            )
        case r.RefundAccepted():
            return replace(state, status="ACCEPTED")
        case r.RefundVerified():
            return replace(state, status="VERIFIED")
        case r.RefundApproved():
            return replace(state, status="APPROVED", approved=True)
        case r.RefundPaid():
            return replace(state, status="PAID", paid=(event.paid_on.isoformat(), event.bank_ref))
        case r.RefundSettled():
            return replace(state, status="SETTLED")
        case r.RefundRefused():
            return replace(state, status="REFUSED")
        case r.RefundCancelled():
            return replace(state, status="CANCELLED")
        case r.RefundPaidAfterCancellation():
            return replace(state, status=RECOVERY_DUE, paid=(event.paid_on.isoformat(), event.bank_ref))
        case r.RefundRecovered():
            told = (event.received_on.isoformat(), event.bank_ref)
            return replace(state, status="RECOVERED", recovered=told)
        case _:
            return state


def open_refund(
    state: Refund, owed: Owed, obligation: Obligation, reason: str, applicant: str, stage: str = ""
) -> list[Event] | Refusal:
    """申请与受理: the line must stand as the reason says; nothing when the refund is open or settled.

    stage: where the line's money is (see IN_FLIGHT).
    """
    line = obligation.lines.get(owed.line_id)
    if line is None:
        return Refusal("NOT_FOUND", rule="PAYMENT_UNKNOWN", field="payment_line_id")
    if state.status in OPEN | {"PAID", "SETTLED"}:
        return []
    if state.status == RECOVERY_DUE:
        return Refusal("INVALID_STATE", rule=RECOVERY_DUE, clause="I-28", field="payment_line_id")
    refusal = _not_due(obligation, owed, line, reason)
    if refusal is not None:
        return refusal
    remains = _effective_remains(obligation, owed.line_id)
    returned = line.was_effective and stage == "IN_TREASURY"
    return [
        r.RefundRequested(
            refund_no=owed.refund_no,
            payment_line_id=owed.line_id,
            person_id=owed.person_id,
            insurance=owed.insurance,
            year=owed.year,
            campaign=line.campaign,
            village=line.village,
            fen=line.fen,
            reason=reason,
            applicant=applicant,
            paid_at=line.paid_at,
        ),
        r.RefundAccepted(refund_no=owed.refund_no),
        r.RefundVerificationRequested(
            refund_no=owed.refund_no,
            payment_line_id=owed.line_id,
            person_id=owed.person_id,
            insurance=owed.insurance,
            year=owed.year,
            campaign=line.campaign,
            fen=line.fen,
            reason=reason,
            paid_at=line.paid_at,
            effective_payment_remains=remains,
            in_treasury=returned,
            round=state.round + 1,
        ),
    ]


def _effective_remains(obligation: Obligation, line_id: str) -> bool:
    effective = obligation.effective
    return effective is not None and effective.line_id != line_id


def _not_due(obligation: Obligation, owed: Owed, line: PaidLine, reason: str) -> Refusal | None:
    """Why a line is not refunded for a reason; None when it is."""
    if STANDINGS.get(line.standing) == reason:
        return None
    if reason != DIED_BEFORE_PERIOD or line.standing != "EFFECTIVE":
        return Refusal("REFUND_NOT_DUE", rule=f"STANDS_{line.standing}", clause="I-28", field="reason")
    if owed.insurance is Insurance.PENSION:
        return Refusal("REFUND_NOT_DUE", rule="PENSION_INHERITABLE", clause="I-28", field="reason")
    died_on = obligation.died_on
    if died_on is None or died_on >= dt.date(owed.year, 1, 1):
        return Refusal("REFUND_NOT_DUE", rule="NOT_DEAD_BEFORE_PERIOD", clause="I-28", field="reason")
    return None


def verify_refund(state: Refund, refund_no: str, rule: str, terminates: bool, asked: int = 1) -> list[Event]:
    """核验通过, and on to finance. A repeat, a late answer or one to an earlier request changes nothing.

    asked: the round the question was of.
    """
    if state.status != "ACCEPTED" or asked != state.round:
        return []
    return [
        r.RefundVerified(refund_no=refund_no, rule=rule, terminates_enrolment=terminates),
        r.RefundApprovalRequested(
            refund_no=refund_no,
            person_id=state.person_id,
            insurance=state.insurance,
            year=state.year,
            campaign=state.campaign,
            fen=state.fen,
        ),
    ]


def reject_verification(state: Refund, refund_no: str, rule: str, asked: int = 1) -> list[Event]:
    """核验不通过: the refund is refused, unless the answer is to an earlier request."""
    if state.status != "ACCEPTED" or asked != state.round:
        return []
    return [
        r.RefundVerificationRejected(refund_no=refund_no, rule=rule),
        r.RefundRefused(refund_no=refund_no, rule=rule),
    ]


def approve_refund(state: Refund, refund_no: str, fen: int) -> list[Event] | Refusal:
    """财政审核 of exactly the payment's amount."""
    if state.status != "VERIFIED":
        return []
    if fen != state.fen:
        return Refusal("AMOUNT_MISMATCH", rule="I-28", clause="I-28")
    return [r.RefundApproved(refund_no=refund_no, fen=fen)]


def cancel_refund(state: Refund, refund_no: str, reason: str) -> list[Event]:
    """撤销: as long as it is not paid."""
    return [r.RefundCancelled(refund_no=refund_no, reason=reason)] if state.status in OPEN else []


@dataclass(frozen=True, slots=True)
class Payout:
    """Command: the refund was paid. stage: where the line's money is (see IN_FLIGHT)."""

    fen: int
    paid_on: dt.date
    bank_ref: str
    stage: str = ""


def pay_refund(
    state: Refund, owed: Owed, obligation: Obligation, payout: Payout
) -> tuple[list[Event], list[Event]] | Refusal:
    """退付: (events of the refund, events of the obligation). The whole payment, once.

    What an approved refund's bank had paid when its ground was withdrawn is recorded, and claimed back.
    """
    if not state.status:
        return Refusal("NOT_FOUND", rule="REFUND_UNKNOWN", field="refund_no")
    if payout.fen != state.fen:
        return Refusal("AMOUNT_MISMATCH", rule="I-28", clause="I-28", field="amount_fen")
    told = (payout.paid_on.isoformat(), payout.bank_ref)
    if state.status in ("SETTLED", RECOVERY_DUE, "RECOVERED"):
        rule = f"REFUND_{state.status}"
        return ([], []) if state.paid == told else Refusal("INVALID_STATE", rule=rule, clause="I-28")
    if state.status == "CANCELLED" and state.approved:
        return _paid_in_vain(state, owed, payout), []
    if state.status != "APPROVED":
        return Refusal("INVALID_STATE", rule=f"REFUND_{state.status}", clause="I-28")
    line = obligation.lines.get(owed.line_id)
    if line is None or _not_due(obligation, owed, line, state.reason) is not None:
        withdrawn = r.RefundCancelled(refund_no=owed.refund_no, reason="WITHDRAWN")
        return [withdrawn, *_paid_in_vain(state, owed, payout)], []
    if obligation.death_disputed and state.reason in BY_DEATH:
        return Refusal("INVALID_STATE", rule="DEATH_DATE_DISPUTED", clause="I-16")
    if payout.stage in IN_FLIGHT:
        return Refusal("INVALID_STATE", rule="MONEY_IN_FLIGHT", clause="I-23")
    remains = _effective_remains(obligation, owed.line_id)
    refund_no = owed.refund_no
    paid = r.RefundPaid(
        refund_no=refund_no,
        payment_line_id=owed.line_id,
        person_id=owed.person_id,
        insurance=owed.insurance,
        year=owed.year,
        campaign=state.campaign,
        village=state.village,
        fen=payout.fen,
        paid_on=payout.paid_on,
        bank_ref=payout.bank_ref,
        effective_payment_remains=remains,
    )
    settled = r.RefundSettled(refund_no=refund_no, person_id=owed.person_id, campaign=state.campaign)
    refunded = e.PaymentRefunded(
        person_id=owed.person_id,
        insurance=owed.insurance,
        year=owed.year,
        line_id=owed.line_id,
        refund_no=refund_no,
        fen=payout.fen,
        paid_on=payout.paid_on,
    )
    return [paid, settled], [refunded]


def _paid_in_vain(state: Refund, owed: Owed, payout: Payout) -> list[Event]:
    return [
        r.RefundPaidAfterCancellation(
            refund_no=owed.refund_no,
            payment_line_id=owed.line_id,
            person_id=owed.person_id,
            insurance=owed.insurance,
            year=owed.year,
            campaign=state.campaign,
            village=state.village,
            fen=payout.fen,
            paid_on=payout.paid_on,
            bank_ref=payout.bank_ref,
        ),
        r.RefundRecoveryOpened(
            refund_no=owed.refund_no,
            person_id=owed.person_id,
            campaign=state.campaign,
            village=state.village,
            fen=payout.fen,
        ),
    ]


def recover_refund(
    state: Refund, refund_no: str, line_id: str, fen: int, received_on: dt.date, bank_ref: str
) -> list[Event] | Refusal:
    """追回: the whole amount, once."""
    if not state.status:
        return Refusal("NOT_FOUND", rule="REFUND_UNKNOWN", field="refund_no")
    if state.status == "RECOVERED" and state.recovered == (received_on.isoformat(), bank_ref):
        return []
    if state.status != RECOVERY_DUE:
        return Refusal("INVALID_STATE", rule=f"REFUND_{state.status}", clause="I-28")
    if fen != state.fen:
        return Refusal("AMOUNT_MISMATCH", rule="I-28", clause="I-28", field="amount_fen")
    return [
        r.RefundRecovered(
            refund_no=refund_no,
            payment_line_id=line_id,
            campaign=state.campaign,
            village=state.village,
            fen=fen,
            received_on=received_on,
            bank_ref=bank_ref,
        )
    ]
