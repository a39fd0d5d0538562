"""What notification (公示、提醒、通报、监督) publishes."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from shared.contracts import topics
from shared.contracts.message import Message
from shared.kernel.insurance import Insurance


class RosterNoticeStartedV1(Message, frozen=True, kw_only=True):
    """清册公示开始 (I-09)."""

    topic: ClassVar = topics.NOTICES

    village: str
    campaign: str
    notice_id: str
    roster_id: str
    roster_version: int
    from_date: dt.date
    to_date: dt.date
    days: int


class RosterNoticeClosedV1(Message, frozen=True, kw_only=True):
    """清册公示结束: the days have run and every objection is resolved."""

    topic: ClassVar = topics.NOTICES

    village: str
    campaign: str
    notice_id: str
    roster_id: str
    roster_version: int
    closed_on: dt.date


class RosterObjectionRaisedV1(Message, frozen=True, kw_only=True):
    """公示异议. claim: NOT_LISTED, WRONG_AMOUNT, WRONG_PERSON, MOVED_AWAY."""

    topic: ClassVar = topics.NOTICES

    village: str
    campaign: str
    objection_id: str
    notice_id: str
    roster_id: str
    person_id: str
    insurance: Insurance | None = None
    claim: str


class PaymentNoticeStartedV1(Message, frozen=True, kw_only=True):
    """缴费公示开始. kind: PRE_DECLARATION, POST_TREASURY, YEAR_END (D-10)."""

    topic: ClassVar = topics.NOTICES

    village: str
    campaign: str
    notice_id: str
    kind: str
    from_date: dt.date
    to_date: dt.date
    days: int


class PaymentNoticeClosedV1(Message, frozen=True, kw_only=True):
    """缴费公示结束."""

    topic: ClassVar = topics.NOTICES

    village: str
    campaign: str
    notice_id: str
    kind: str
    closed_on: dt.date


class PaymentObjectionRaisedV1(Message, frozen=True, kw_only=True):
    """缴费公示异议. issue: PAID_NOT_LISTED, WRONG_AMOUNT, NOT_PAID_LISTED."""

    topic: ClassVar = topics.NOTICES

    village: str
    campaign: str
    objection_id: str
    notice_id: str
    kind: str
    person_id: str
    insurance: Insurance | None = None
    issue: str


class AuditCaseOpenedV1(Message, frozen=True, kw_only=True):
    """审计案件: opened by supervision on a stream rule. rule: FUND_RETENTION, ADVANCE_FUNDING, SHORTFALL ..."""

    topic: ClassVar = topics.SUPERVISION

    subject: str
    case_id: str
    rule: str
    campaign: str
    village: str
    evidence: tuple[str, ...] = ()


class ProgressBulletinIssuedV1(Message, frozen=True, kw_only=True):
    """征缴进度通报."""

    topic: ClassVar = topics.PROGRESS

    campaign: str
    day: dt.date
    insurance: Insurance
    division: str
    persons: int
    paid_persons: int
    paid_fen: int
