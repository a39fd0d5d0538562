"""What subsidy (资助; 民政, 残联, 卫健, 乡村振兴, 财政 ...) publishes."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

import msgspec

from shared.contracts import topics
from shared.contracts.message import Message
from shared.kernel.insurance import Insurance, Leg


class SubsidyListSubmittedV1(Message, frozen=True, kw_only=True):
    """资助名单报送 (header). stamped_total: 应参保总人数 (I-10). late: after the pack's list deadline."""

    topic: ClassVar = topics.LIST_HEADERS

    list_id: str
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    stamped_total: int
    unmatched: int = 0
    late: bool = False


class SubsidyListVerifiedV1(Message, frozen=True, kw_only=True):
    """核实盖章确认."""

    topic: ClassVar = topics.LIST_HEADERS

    list_id: str
    department: str
    count: int


class SubsidyLineSubmittedV1(Message, frozen=True, kw_only=True):
    """资助名单行: a line of a verified list whose person subsidy found; registration imports or refuses it."""

    topic: ClassVar = topics.LISTS

    person_id: str
    list_id: str
    line_no: int
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    valid_from: dt.date


class SubsidyOverlapDetectedV1(Message, frozen=True, kw_only=True):
    """多重身份: more than one department claims the person (I-11)."""

    topic: ClassVar = topics.ELIGIBILITY

    person_id: str
    insurance: Insurance
    year: int
    departments: tuple[str, ...]
    categories: tuple[str, ...]


class SubsidyEntitlementResolvedV1(Message, frozen=True, kw_only=True):
    """资助资格确定: all payer legs of the personal standard (I-12), the department that applies for the money."""

    topic: ClassVar = topics.ELIGIBILITY

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    version: int
    category: str
    department: str
    standard_fen: int
    legs: tuple[Leg, ...]
    rule: str = ""
    clause: str = ""


class SubsidyEntitlementRevokedV1(Message, frozen=True, kw_only=True):
    """资助资格取消. reason: DEATH, STATUS_END, LIST_WITHDRAWN."""

    topic: ClassVar = topics.ELIGIBILITY

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    version: int
    reason: str
    from_date: dt.date


class GovernmentLine(msgspec.Struct, frozen=True):
    """One entitlement's government leg in a government payment (I-27)."""

    person_id: str
    village: str
    payer: str
    fen: int


class GovernmentPaymentSubmittedV1(Message, frozen=True, kw_only=True):
    """政府代缴申报: part ``part`` of ``parts`` (at most 500 lines each); totals over all parts."""

    topic: ClassVar = topics.FUNDING

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


class FamilyPlanningSpouseRecordedV1(Message, frozen=True, kw_only=True):
    """计生家庭 (D-15, D-57): one message per spouse; the wife's age decides, registration judges it."""

    topic: ClassVar = topics.ELIGIBILITY

    person_id: str
    wife_id: str
    kind: str
    campaign: str
    year: int


class FiscalSubsidyMovedV1(Message, frozen=True, kw_only=True):
    """财政补助 (D-45): state CLAIMED (restated), APPROPRIATED or ARRIVED (fen of the step)."""

    topic: ClassVar = topics.FUNDING

    department: str = "FINANCE"
    campaign: str
    year: int
    kind: str
    state: str
    heads: int
    fen: int


class SubsidyFundMovedV1(Message, frozen=True, kw_only=True):
    """申请 / 拨付 / 转付补助资金: state APPLIED, APPROPRIATED, TRANSFERRED; fen is the step's amount."""

    topic: ClassVar = topics.FUNDING

    department: str
    year: int
    campaign: str
    kind: str
    state: str
    persons: int
    fen: int


class RefundApprovedV1(Message, frozen=True, kw_only=True):
    """财政审核 of a refund."""

    topic: ClassVar = topics.REFUND_APPROVALS

    person_id: str
    refund_no: str
    fen: int
