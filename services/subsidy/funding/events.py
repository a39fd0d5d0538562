"""Events of streams ``fund:{department}:{year}:{kind}`` and ``process:refund-approval:{refund_no}``."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class GovernmentLine(msgspec.Struct, frozen=True):
    """One entitlement's government leg."""

    person_id: str
    village: str
    payer: str
    fen: int


class SubsidyFundApplied(Event, frozen=True, kw_only=True):
    """申请补助资金: persons x amount of the entitlements resolved so far, total over both insurances."""

    department: str
    year: int
    campaign: str
    kind: str
    persons: int
    fen: int


class SubsidyFundAppropriated(Event, frozen=True, kw_only=True):
    """拨付补助资金 by finance."""

    department: str
    year: int
    campaign: str
    kind: str
    fen: int


class SubsidyFundTransferred(Event, frozen=True, kw_only=True):
    """转付补助资金 by the department to the account the vouchers are debited from (D-52)."""

    department: str
    year: int
    campaign: str
    kind: str
    fen: int


class GovernmentPaymentSubmitted(Event, frozen=True, kw_only=True):
    """政府代缴申报: part of a payment, at most 500 lines; one line per entitlement (I-27)."""

    department: str
    payment_no: str
    campaign: str
    insurance: Insurance
    year: int
    part: int
    parts: int
    lines: tuple[GovernmentLine, ...]
    total_count: int
    total_fen: int


class GovernmentLegReturned(Event, frozen=True, kw_only=True):
    """代缴行退回: collection put the leg on no voucher; its money is free again (I-27).

    reopened: the leg goes into the next payment; not when it was vouchered already.
    """

    department: str
    year: int
    campaign: str
    kind: str
    insurance: Insurance
    payment_no: str
    person_id: str
    payer: str
    fen: int
    reason: str
    reopened: bool


class RefundApprovalRequested(Event, frozen=True, kw_only=True):
    """提请财政审核: collection asks finance for a verified refund."""

    refund_no: str
    person_id: str
    campaign: str
    insurance: Insurance
    year: int
    fen: int


class RefundApproved(Event, frozen=True, kw_only=True):
    """财政审核通过."""

    refund_no: str
    person_id: str
    fen: int
    approved_by: str
    approved_on: dt.date


EVENTS: tuple[type[Event], ...] = (
    SubsidyFundApplied,
    SubsidyFundAppropriated,
    SubsidyFundTransferred,
    GovernmentPaymentSubmitted,
    GovernmentLegReturned,
    RefundApprovalRequested,
    RefundApproved,
)
