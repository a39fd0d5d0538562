"""A department's money for one year, and finance's approval of refunds. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.subsidy.funding import events as e
from services.subsidy.funding.events import GovernmentLine
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

PERSONAL_PART = "PERSONAL_PART"
"""The personal part paid for people (代缴): the first of D-45's three moneys, never mixed with the others."""

ALREADY_VOUCHERED = "ALREADY_VOUCHERED"
"""Why a leg may come back that is not to be submitted again."""

PART = 400
"""Lines of one event: below 64 KiB."""


@dataclass(frozen=True, slots=True)
class Fund:
    """State of ``fund:{department}:{year}:{kind}``; fen."""

    persons: int = 0
    applied_fen: int = 0
    appropriated_fen: int = 0
    transferred_fen: int = 0
    submitted_fen: int = 0
    payments: int = 0


@dataclass(frozen=True, slots=True)
class FundKey:
    """Which fund."""

    department: str
    year: int
    campaign: str
    kind: str = PERSONAL_PART


@dataclass(frozen=True, slots=True)
class ReturnedLeg:
    """代缴行退回: a line of a government payment that got no voucher."""

    insurance: Insurance
    payment_no: str
    person_id: str
    payer: str
    fen: int
    reason: str


def evolve(state: Fund, event: Event) -> Fund:
    """Fold one event. An application restates the whole need; money moves add up."""
    match event:
        case e.SubsidyFundApplied():
            return replace(state, persons=event.persons, applied_fen=event.fen)
        case e.SubsidyFundAppropriated():
            return replace(state, appropriated_fen=state.appropriated_fen + event.fen)
        case e.SubsidyFundTransferred():
            return replace(state, transferred_fen=state.transferred_fen + event.fen)
        case e.GovernmentPaymentSubmitted():
            return replace(
                state,
                submitted_fen=state.submitted_fen + sum(line.fen for line in event.lines),
                payments=state.payments + (event.part == 1),
            )
        case e.GovernmentLegReturned():
            return replace(state, submitted_fen=state.submitted_fen - event.fen)
        case _:
            return state


def apply_for_fund(state: Fund, key: FundKey, persons: int, fen: int) -> Decision:
    """Apply for what the entitlements need; the same need again changes nothing (002:L412-416)."""
    if persons == 0:
        return Refusal("NOTHING_TO_APPLY", rule="I-27", message="没有可申请的资助对象 / nobody to apply for")
    if (state.persons, state.applied_fen) == (persons, fen):
        return []
    return [
        e.SubsidyFundApplied(
            department=key.department,
            year=key.year,
            campaign=key.campaign,
            kind=key.kind,
            persons=persons,
            fen=fen,
        )
    ]


def appropriate_fund(state: Fund, key: FundKey, fen: int) -> Decision:
    """Finance appropriates at most what was applied for."""
    if fen <= 0:
        return Refusal("AMOUNT_INVALID", field="fen", message="金额须大于零 / amount must be positive")
    if state.appropriated_fen + fen > state.applied_fen:
        return Refusal(
            "OVER_APPLICATION", rule="I-27", field="fen", message="拨付超过申请 / more than was applied for"
        )
    return [
        e.SubsidyFundAppropriated(
            department=key.department, year=key.year, campaign=key.campaign, kind=key.kind, fen=fen
        )
    ]


def transfer_fund(state: Fund, key: FundKey, fen: int) -> Decision:
    """The department passes on at most what it was given."""
    if fen <= 0:
        return Refusal("AMOUNT_INVALID", field="fen", message="金额须大于零 / amount must be positive")
    if state.transferred_fen + fen > state.appropriated_fen:
        return Refusal(
            "OVER_APPROPRIATION",
            rule="I-27",
            field="fen",
            message="转付超过拨付 / more than was appropriated",
        )
    return [
        e.SubsidyFundTransferred(
            department=key.department, year=key.year, campaign=key.campaign, kind=key.kind, fen=fen
        )
    ]


def submit_government_payment(
    state: Fund, key: FundKey, insurance: Insurance, lines: tuple[GovernmentLine, ...]
) -> Decision:
    """Submit entitlements not yet submitted; never more than was transferred (I-27)."""
    if not lines:
        return Refusal("NOTHING_TO_SUBMIT", rule="I-27", message="没有待申报的代缴 / nothing to submit")
    fen = sum(line.fen for line in lines)
    if state.submitted_fen + fen > state.transferred_fen:
        return Refusal(
            "FUND_INSUFFICIENT",
            rule="I-27",
            clause="002:L412-416",
            message="补助资金未足额到位 / the money has not arrived in full",
        )
    number = payment_number(key, insurance, state.payments + 1)
    pages = [lines[start : start + PART] for start in range(0, len(lines), PART)]
    return [
        e.GovernmentPaymentSubmitted(
            department=key.department,
            payment_no=number,
            campaign=key.campaign,
            insurance=insurance,
            year=key.year,
            part=part,
            parts=len(pages),
            lines=page,
            total_count=len(lines),
            total_fen=fen,
        )
        for part, page in enumerate(pages, 1)
    ]


def return_leg(key: FundKey, leg: ReturnedLeg) -> list[Event]:
    """Collection refused a submitted line: its money is free, and the leg open unless it was vouchered."""
    return [
        e.GovernmentLegReturned(
            department=key.department,
            year=key.year,
            campaign=key.campaign,
            kind=key.kind,
            insurance=leg.insurance,
            payment_no=leg.payment_no,
            person_id=leg.person_id,
            payer=leg.payer,
            fen=leg.fen,
            reason=leg.reason,
            reopened=leg.reason != ALREADY_VOUCHERED,
        )
    ]


def payment_number(key: FundKey, insurance: Insurance, ordinal: int) -> str:
    """Government payments are numbered within their fund."""
    return f"GP-{key.campaign}-{key.department}-{insurance}-{ordinal}"


@dataclass(frozen=True, slots=True)
class Approval:
    """State of ``process:refund-approval:{refund_no}``."""

    requested: e.RefundApprovalRequested | None = None
    approved: e.RefundApproved | None = None


def evolve_approval(state: Approval, event: Event) -> Approval:
    """Fold one event."""
    match event:
        case e.RefundApprovalRequested():
            return replace(state, requested=event)
        case e.RefundApproved():
            return replace(state, approved=event)
        case _:
            return state


def request_approval(state: Approval, request: e.RefundApprovalRequested) -> Decision:
    """Once per refund; one that was cancelled and is opened again finds its approval standing, told once more.

    The number is the payment line's and the amount the whole payment's, so it is the same refund (I-28).
    """
    if state.approved is not None:
        return [state.approved]
    return [] if state.requested is not None else [request]


def approve_refund(state: Approval, approved_by: str, today: dt.date) -> Decision:
    """Finance approves once; it does not judge eligibility, which is 人社/医保's (I-31)."""
    request = state.requested
    if request is None:
        return Refusal("REFUND_UNKNOWN", rule="I-28", message="没有此退费 / no such refund")
    if state.approved is not None:
        return Refusal("REFUND_APPROVED", rule="I-28", message="已审核 / already approved")
    return [
        e.RefundApproved(
            refund_no=request.refund_no,
            person_id=request.person_id,
            fen=request.fen,
            approved_by=approved_by,
            approved_on=today,
        )
    ]
