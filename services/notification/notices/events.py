"""Events of stream ``notice:{id}``."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class RosterNoticeStarted(Event, frozen=True, kw_only=True):
    """清册公示开始 (I-09): runs ``days`` days, first and last included."""

    notice_id: str
    campaign: str
    village: str
    roster_id: str
    roster_version: int
    from_date: dt.date
    to_date: dt.date
    days: int


class RosterNoticeClosed(Event, frozen=True, kw_only=True):
    """清册公示结束."""

    notice_id: str
    campaign: str
    village: str
    roster_id: str
    roster_version: int
    closed_on: dt.date


class RosterObjectionRaised(Event, frozen=True, kw_only=True):
    """清册公示异议. claim: NOT_LISTED, WRONG_AMOUNT, WRONG_PERSON, MOVED_AWAY."""

    objection_id: str
    notice_id: str
    campaign: str
    village: str
    roster_id: str
    person_id: str
    insurance: Insurance | None = None
    claim: str


class PaymentNoticeStarted(Event, frozen=True, kw_only=True):
    """缴费公示开始. kind: PRE_DECLARATION, POST_TREASURY or YEAR_END (D-10)."""

    notice_id: str
    campaign: str
    village: str
    roster_id: str
    kind: str
    from_date: dt.date
    to_date: dt.date
    days: int


class PaymentNoticeClosed(Event, frozen=True, kw_only=True):
    """缴费公示结束."""

    notice_id: str
    campaign: str
    village: str
    roster_id: str
    kind: str
    closed_on: dt.date


class PaymentObjectionRaised(Event, frozen=True, kw_only=True):
    """缴费公示异议. issue: PAID_NOT_LISTED, WRONG_AMOUNT, NOT_PAID_LISTED."""

    objection_id: str
    notice_id: str
    campaign: str
    village: str
    kind: str
    person_id: str
    insurance: Insurance | None = None
    issue: str


class ObjectionResolutionReceived(Event, frozen=True, kw_only=True):
    """异议处理结果收悉: collection decided; outcome UPHELD or REJECTED."""

    objection_id: str
    notice_id: str
    campaign: str
    village: str
    outcome: str


class PriorYearPaymentsPublished(Event, frozen=True, kw_only=True):
    """上年度缴费情况公示: the village showed last year's payments per person; the plan gives no period.

    year: the year shown; persons and fen as the form's totals say.
    """

    publication_id: str
    campaign: str
    village: str
    year: int
    persons: int
    fen: int
    published_on: dt.date


class SubsidyListPublicised(Event, frozen=True, kw_only=True):
    """资助名单公示: the village showed whom the departments pay for (000:L204-206)."""

    publication_id: str
    campaign: str
    village: str
    list_id: str
    persons: int
    published_on: dt.date


EVENTS: tuple[type[Event], ...] = (
    PriorYearPaymentsPublished,
    SubsidyListPublicised,
    RosterNoticeStarted,
    RosterNoticeClosed,
    RosterObjectionRaised,
    PaymentNoticeStarted,
    PaymentNoticeClosed,
    PaymentObjectionRaised,
    ObjectionResolutionReceived,
)
