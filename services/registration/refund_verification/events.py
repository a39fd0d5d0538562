"""Events of ``process:refund-verification:{refund_no}``."""

from __future__ import annotations

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class RefundVerified(Event, frozen=True, kw_only=True):
    """退费核验通过: decided by 人社/医保 only (I-31). terminates_enrolment: no payment remains (I-28).

    round: the request that was asked about; a refund may be withdrawn and requested again.
    """

    refund_no: str
    person_id: str
    payment_line_id: str
    insurance: Insurance
    year: int
    fen: int
    rule: str
    clause: str
    terminates_enrolment: bool
    round: int = 1


class RefundVerificationRejected(Event, frozen=True, kw_only=True):
    """退费核验不通过, by the rule named."""

    refund_no: str
    person_id: str
    payment_line_id: str
    insurance: Insurance
    year: int
    rule: str
    clause: str
    round: int = 1


EVENTS: tuple[type[Event], ...] = (RefundVerified, RefundVerificationRejected)
