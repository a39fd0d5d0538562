"""Events of stream ``obligation:{year}:{insurance}:{person}``.

One payment per person, insurance, year and payer leg is a rule of this one stream (I-17). What happens
to the money afterwards (settled, declared, vouchered, in treasury, booked) is told by line events of
settlement, declaration and voucher, never here.
"""

from __future__ import annotations

import datetime as dt

from services.collection.obligations.lines import PaymentLine
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance, Leg


class PensionTierSelected(Event, frozen=True, kw_only=True):
    """选择缴费档次 (I-13). tier in whole yuan, as the plan prints it."""

    person_id: str
    year: int
    campaign: str
    village: str
    tier_yuan: int


class ContributionAssessed(Event, frozen=True, kw_only=True):
    """应缴核定. legs sum to standard_fen (I-12). special_assessment_no: registration assessed (I-31)."""

    assessment_id: str
    version: int
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    birth: dt.date
    standard_fen: int
    legs: tuple[Leg, ...]
    matching_subsidy_fen: int = 0
    category: str = ""
    tier_yuan: int | None = None
    pack_id: str
    pack_version: int
    pack_digest: str
    special_assessment_no: str = ""
    valid_to: dt.date | None = None
    rules: tuple[str, ...] = ()


class ContributionReassessed(ContributionAssessed, frozen=True, kw_only=True):
    """重新核定: only while unpaid; replaces version - 1. reason: SUBSIDY, TIER, PACK_REVISED, MOVED."""

    reason: str


class EntitlementNoted(Event, frozen=True, kw_only=True):
    """资助资格收悉: the newest entitlement subsidy resolved for the person; legs empty when revoked (I-12).

    Kept on this stream so that an assessment made later, by whatever cause, decides with it.
    """

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    entitlement_version: int
    category: str
    department: str
    standard_fen: int
    legs: tuple[Leg, ...]
    reason: str = ""


class SpecialAssessmentNoted(Event, frozen=True, kw_only=True):
    """特殊缴费核定收悉 (I-31): registration's amount, collected exactly, until ``valid_to``."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    assessment_no: str
    kind: str
    personal_fen: int
    fiscal_fen: int
    valid_to: dt.date
    tier_yuan: int | None = None


class RevisionDifferenceFound(Event, frozen=True, kw_only=True):
    """调整差异 (D-06, scenario 14): an unpaid person owes another amount by the revised pack; fen.

    after_*: 0 when the new version refuses; rule then says why.
    """

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    pack_version: int
    previous_version: int
    before_standard_fen: int
    before_personal_fen: int
    after_standard_fen: int
    after_personal_fen: int
    rule: str = ""


class PaidTermsKept(Event, frozen=True, kw_only=True):
    """已缴不变: who has paid keeps his legs, so subsidy must not pay others for him (I-12, D-06).

    reason: PAID_ONLINE (relief forfeited) or PAID_BEFORE (an entitlement came, or changed, after the payment).
    """

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    standard_fen: int
    legs: tuple[Leg, ...]
    reason: str
    paid_on: dt.date


class AssessmentRefused(Event, frozen=True, kw_only=True):
    """不予核定. code and rule as ``liangxian assess`` answers them."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    code: str
    rule: str
    clause: str = ""


class BirthdayHoldFound(Event, frozen=True, kw_only=True):
    """待满周岁再缴: paying online before ``birthday`` costs more (YC-2023, 004:L203-207)."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    birthday: dt.date


class PaymentReceived(PaymentLine, frozen=True, kw_only=True):
    """缴费成功（收款）: one line of an order became the effective payment of the person's leg (I-14..I-17).

    line_id: ``{payment_id}/{n}``. receipt_serial: set for CASH_AGENT only (I-19). standard_fen, tier and
    special assessment are the assessment's, so that a line can be vouchered and returned by itself.
    """

    assessment_id: str
    assessment_version: int
    virtual_household_id: str = ""
    late: bool = False
    out_of_window: bool = False
    standard_fen: int = 0
    tier_yuan: int | None = None
    special_assessment_no: str = ""


class DuplicatePaymentDetected(PaymentLine, frozen=True, kw_only=True):
    """重复缴费: final money that cannot be effective, as the leg is paid already (I-17). A refund follows."""

    effective_line_id: str


class PostDeathPaymentDetected(PaymentLine, frozen=True, kw_only=True):
    """死亡后缴费: paid after the date of death, whenever learned (I-16). A refund follows.

    was_effective: True when the payment had been recorded as effective before the death was known.
    """

    died_on: dt.date
    was_effective: bool


class PayerDeathNoted(Event, frozen=True, kw_only=True):
    """死亡信息收悉 (I-16): kept on the obligation, so that a payment and a report that cross are put in order.

    died_on None: the report was withdrawn; disputed: sources give different dates (scenario 4e).
    """

    person_id: str
    insurance: Insurance
    year: int
    died_on: dt.date | None
    disputed: bool = False


class PostDeathFindingWithdrawn(Event, frozen=True, kw_only=True):
    """死亡更正后撤销: the report was withdrawn or corrected before the refund was paid (scenario 4d)."""

    line_id: str
    person_id: str


class MisfitPaymentDetected(PaymentLine, frozen=True, kw_only=True):
    """Final money of a known person that cannot be effective. kind: OUT_OF_WINDOW or WRONG_AMOUNT.

    A task and a refund follow; counted in refund_due_fen.
    """

    kind: str


class GovernmentLegVouchered(Event, frozen=True, kw_only=True):
    """政府代缴: the government leg was put on a voucher (at most one per leg, I-17, I-27)."""

    person_id: str
    insurance: Insurance
    year: int
    payer: str
    fen: int
    voucher_no: str
    campaign: str = ""
    village: str = ""


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """已退费: a payment line was paid back whole (I-28)."""

    person_id: str
    insurance: Insurance
    year: int
    line_id: str
    refund_no: str
    fen: int
    paid_on: dt.date
