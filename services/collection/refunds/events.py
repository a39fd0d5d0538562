"""Events of stream ``refund:{refund_no}``."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class RefundRequested(Event, frozen=True, kw_only=True):
    """退费申请. reason: DUPLICATE, PAID_AFTER_DEATH, WRONG_AMOUNT, OUT_OF_WINDOW or DIED_BEFORE_PERIOD.

    applicant: SYSTEM when a finding opened it, else payer, heir or agent.
    """

    refund_no: str
    payment_line_id: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    fen: int
    reason: str
    applicant: str
    paid_at: dt.datetime


class RefundAccepted(Event, frozen=True, kw_only=True):
    """受理."""

    refund_no: str


class RefundVerificationRequested(Event, frozen=True, kw_only=True):
    """提请核验: only 人社 or 医保 decides (I-31). round: of the refund's requests, from 1."""

    refund_no: str
    payment_line_id: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    fen: int
    reason: str
    paid_at: dt.datetime
    effective_payment_remains: bool
    in_treasury: bool
    round: int = 1


class RefundVerified(Event, frozen=True, kw_only=True):
    """核验通过 as registration told."""

    refund_no: str
    rule: str
    terminates_enrolment: bool


class RefundVerificationRejected(Event, frozen=True, kw_only=True):
    """核验不通过 as registration told."""

    refund_no: str
    rule: str


class RefundRefused(Event, frozen=True, kw_only=True):
    """不予退费."""

    refund_no: str
    rule: str


class RefundApprovalRequested(Event, frozen=True, kw_only=True):
    """提请财政审核."""

    refund_no: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    fen: int


class RefundApproved(Event, frozen=True, kw_only=True):
    """财政审核."""

    refund_no: str
    fen: int


class RefundPaid(Event, frozen=True, kw_only=True):
    """退库 / 退付: the whole payment (I-28)."""

    refund_no: str
    payment_line_id: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    fen: int
    paid_on: dt.date
    bank_ref: str
    effective_payment_remains: bool


class RefundSettled(Event, frozen=True, kw_only=True):
    """退费销号."""

    refund_no: str
    person_id: str
    campaign: str


class RefundCancelled(Event, frozen=True, kw_only=True):
    """退费撤销: what it rested on was withdrawn before it was paid (scenario 4d)."""

    refund_no: str
    reason: str


class RefundPaidAfterCancellation(Event, frozen=True, kw_only=True):
    """退费撤销后已付: the bank had paid an approved refund when it was cancelled; the money is out (I-28)."""

    refund_no: str
    payment_line_id: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    fen: int
    paid_on: dt.date
    bank_ref: str


class RefundRecoveryOpened(Event, frozen=True, kw_only=True):
    """追回退费: what was paid out without ground is claimed back from whoever got it."""

    refund_no: str
    person_id: str
    campaign: str
    village: str
    fen: int


class RefundRecovered(Event, frozen=True, kw_only=True):
    """退费追回到账: the whole amount came back."""

    refund_no: str
    payment_line_id: str
    campaign: str
    village: str
    fen: int
    received_on: dt.date
    bank_ref: str
