"""What collection (征缴; 税务) publishes."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

import msgspec

from shared.contracts import topics
from shared.contracts.message import Message
from shared.kernel.insurance import Insurance, Leg


class PolicyPackPublishedV1(Message, frozen=True, kw_only=True):
    """政策包发布. ``campaign`` is the campaign the pack is for (partition key)."""

    topic: ClassVar = topics.CAMPAIGNS

    campaign: str
    pack_id: str
    version: int
    digest: str


class CampaignOpenedV1(Message, frozen=True, kw_only=True):
    """集中征缴启动: from now on every service decides with exactly this pack or refuses."""

    topic: ClassVar = topics.CAMPAIGNS

    campaign: str
    division: str
    year: int
    pack_id: str
    pack_version: int
    pack_digest: str
    window_from: dt.date
    window_to: dt.date


class CampaignPhaseChangedV1(Message, frozen=True, kw_only=True):
    """阶段转换 (D-24..26)."""

    topic: ClassVar = topics.CAMPAIGNS

    campaign: str
    phase: str
    from_date: dt.date
    to_date: dt.date


class CampaignWindowExtendedV1(Message, frozen=True, kw_only=True):
    """集中征缴期延长."""

    topic: ClassVar = topics.CAMPAIGNS

    campaign: str
    old_end: dt.date
    new_end: dt.date
    authority: str


class CampaignClosedV1(Message, frozen=True, kw_only=True):
    """集中征缴结束."""

    topic: ClassVar = topics.CAMPAIGNS

    campaign: str
    closed_on: dt.date


class CollectionTargetAssignedV1(Message, frozen=True, kw_only=True):
    """征缴任务下达 (I-02): one row. amount in ``unit`` (FEN)."""

    topic: ClassVar = topics.CAMPAIGNS

    campaign: str
    division: str
    insurance: Insurance
    persons: int
    amount_fen: int | None = None
    statistical_scope: str = "ALL"


class RegistrationInfoAcceptedV1(Message, frozen=True, kw_only=True):
    """接收 of a transmitted registration that is not linked: cancelled, or another record is live."""

    topic: ClassVar = topics.TAXPAYERS

    person_id: str
    record_no: str
    record_version: int
    insurance: Insurance
    year: int


class RegistrationInfoRejectedV1(Message, frozen=True, kw_only=True):
    """退回 of a transmitted registration."""

    topic: ClassVar = topics.TAXPAYERS

    person_id: str
    record_no: str
    record_version: int
    insurance: Insurance
    year: int
    error: str


class RegistrationLinkedV1(Message, frozen=True, kw_only=True):
    """接收并关联: version ``record_version`` of the record was accepted and linked (参保登记信息关联)."""

    topic: ClassVar = topics.TAXPAYERS

    person_id: str
    record_no: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    taxpayer_no: str
    record_version: int = 0


class ContributionAssessedV1(Message, frozen=True, kw_only=True):
    """应缴核定 / 重新核定: version rises with each reassessment; legs sum to standard_fen (I-12)."""

    topic: ClassVar = topics.ASSESSMENT

    person_id: str
    assessment_id: str
    version: int
    campaign: str
    village: str
    insurance: Insurance
    year: int
    standard_fen: int
    legs: tuple[Leg, ...]
    category: str = ""
    tier_yuan: int | None = None
    birth: dt.date | None = None
    pack_id: str
    pack_version: int


class AssessmentRefusedV1(Message, frozen=True, kw_only=True):
    """不予核定."""

    topic: ClassVar = topics.ASSESSMENT

    person_id: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    rule: str


class PaidTermsKeptV1(Message, frozen=True, kw_only=True):
    """已缴不变: the person has paid and these legs stand, whatever was resolved for him (I-12, 政策调整).

    reason: PAID_ONLINE (a relief was forfeited, 004:L203-207) or PAID_BEFORE (paid before it was resolved so).
    """

    topic: ClassVar = topics.RELIEFS

    person_id: str
    campaign: str
    insurance: Insurance
    year: int
    standard_fen: int
    legs: tuple[Leg, ...]
    reason: str
    paid_on: dt.date


class BirthdayHoldFoundV1(Message, frozen=True, kw_only=True):
    """待满周岁再缴: a payer would owe less from ``birthday`` on (YC-2023, 004:L203)."""

    topic: ClassVar = topics.ASSESSMENT

    person_id: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    birthday: dt.date


class RosterLine(msgspec.Struct, frozen=True):
    """One line of a roster: what the person owes; 0 when government pays all of it."""

    person_id: str
    insurance: Insurance
    standard_fen: int
    personal_fen: int
    category: str = ""


class CollectionRosterFormedV1(Message, frozen=True, kw_only=True):
    """征收清册形成 (header). total at standard and due from persons (I-08)."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    version: int
    count: int
    standard_fen: int
    personal_fen: int
    digest: str
    supplementary: bool = False


class RosterLinesFormedV1(Message, frozen=True, kw_only=True):
    """征收清册明细: part ``part`` of ``parts``, at most 500 lines and 64 KiB each."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    version: int
    part: int
    parts: int
    lines: tuple[RosterLine, ...]


class RosterDispatchedV1(Message, frozen=True, kw_only=True):
    """清册移交镇街、村居代办员: notification starts the notice on it, when the pack has one."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    version: int
    count: int
    standard_fen: int
    personal_fen: int
    supplementary: bool = False


class ObjectionResolvedV1(Message, frozen=True, kw_only=True):
    """公示异议处理 of a roster or payment objection. outcome: UPHELD or REJECTED."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    objection_id: str
    notice_id: str
    outcome: str
    finding: str


class RosterAmendedV1(Message, frozen=True, kw_only=True):
    """补充修改清册 (header of the new version; its lines follow as RosterLinesFormedV1)."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    version: int
    added: int
    removed: int
    count: int
    standard_fen: int
    personal_fen: int


class RosterFinalizedV1(Message, frozen=True, kw_only=True):
    """清册定稿上报."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    version: int
    count: int
    standard_fen: int
    personal_fen: int


class PaymentNoticeStampedV1(Message, frozen=True, kw_only=True):
    """缴费清册加盖印章: only after treasury entry; notification starts POST_TREASURY on it (D-10)."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    count: int
    fen: int


class VillageRosterSignedV1(Message, frozen=True, kw_only=True):
    """村居签字的缴费清册: the village has finished; notification starts PRE_DECLARATION on it (D-10)."""

    topic: ClassVar = topics.ROSTER

    village: str
    campaign: str
    roster_id: str
    count: int
    fen: int


class PaymentReceivedV1(Message, frozen=True, kw_only=True):
    """缴费成功（收款）: one line of an order; shows PAID, grants nothing."""

    topic: ClassVar = topics.PAYMENTS

    person_id: str
    payment_id: str
    line_id: str
    order_no: str
    channel: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    fen: int
    paid_at: dt.datetime
    agent_id: str = ""


class DuplicatePaymentDetectedV1(Message, frozen=True, kw_only=True):
    """重复缴费 (I-17)."""

    topic: ClassVar = topics.PAYMENTS

    person_id: str
    line_id: str
    effective_line_id: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    fen: int


class PostDeathPaymentDetectedV1(Message, frozen=True, kw_only=True):
    """死亡后缴费 (I-16)."""

    topic: ClassVar = topics.PAYMENTS

    person_id: str
    line_id: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    fen: int


class DailySettlementConfirmedV1(Message, frozen=True, kw_only=True):
    """日结确认: receipts = summary = deposit (I-20). source: the village's agent or the channel."""

    topic: ClassVar = topics.SETTLEMENT

    village: str
    campaign: str
    source: str
    date: dt.date
    insurance: Insurance
    count: int
    fen: int


class DailySettlementDiscrepancyDetectedV1(Message, frozen=True, kw_only=True):
    """日结差异: blocks declaration. diff_fen = deposited - received."""

    topic: ClassVar = topics.SETTLEMENT

    village: str
    campaign: str
    source: str
    date: dt.date
    insurance: Insurance
    expected_fen: int
    actual_fen: int
    diff_fen: int


class DailySettlementDiscrepancyResolvedV1(Message, frozen=True, kw_only=True):
    """日结差异处理."""

    topic: ClassVar = topics.SETTLEMENT

    village: str
    campaign: str
    source: str
    date: dt.date
    insurance: Insurance
    resolution: str


class SettlementOverdueV1(Message, frozen=True, kw_only=True):
    """滞留资金预警 (I-22): cash older than the pack allows."""

    topic: ClassVar = topics.SETTLEMENT

    village: str
    campaign: str
    source: str
    date: dt.date
    insurance: Insurance
    days: int
    fen: int


class UnusedReceiptsReturnedV1(Message, frozen=True, kw_only=True):
    """剩余票据移交 (I-19). ranges: first and last serial, both included; issued + voided + unused = handed_out."""

    topic: ClassVar = topics.SETTLEMENT

    village: str
    campaign: str
    book_no: str
    agent_id: str
    ranges: tuple[tuple[str, str], ...]
    handed_out: int
    issued: int
    voided: int
    unused: int


class DeclarationVerifiedV1(Message, frozen=True, kw_only=True):
    """申报核对无误."""

    topic: ClassVar = topics.SETTLEMENT

    village: str
    campaign: str
    declaration_no: str
    count: int
    fen: int


class TaxVoucherIssuedV1(Message, frozen=True, kw_only=True):
    """开票. source: DECLARATION, CHANNEL or GOVERNMENT."""

    topic: ClassVar = topics.TREASURY

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    count: int
    fen: int


class VillageSum(msgspec.Struct, frozen=True):
    """What of a voucher belongs to one village."""

    village: str
    count: int
    fen: int


class GovernmentLegRefusedV1(Message, frozen=True, kw_only=True):
    """政府代缴行不予开票 (I-27): the leg is on no voucher and may be submitted again.

    reason: NOT_ASSESSED, LEG_DIFFERS, or ALREADY_VOUCHERED, which may not.
    """

    topic: ClassVar = topics.TREASURY

    voucher_no: str
    person_id: str
    department: str
    payment_no: str
    campaign: str
    insurance: Insurance
    year: int
    payer: str
    fen: int
    reason: str


class TreasuryEntryConfirmedV1(Message, frozen=True, kw_only=True):
    """入库（国库）(I-23). village "": lines of many villages (a channel's day, a government payment).

    villages: sums to count and fen, whatever the source.
    """

    topic: ClassVar = topics.TREASURY

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    source: str
    treasury_date: dt.date
    count: int
    fen: int
    villages: tuple[VillageSum, ...] = ()


class TreasuryEntryRejectedV1(Message, frozen=True, kw_only=True):
    """入库退回."""

    topic: ClassVar = topics.TREASURY

    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    reason: str


class TaxReceiptIssuedV1(Message, frozen=True, kw_only=True):
    """税收票据开具: only after entry."""

    topic: ClassVar = topics.TREASURY

    voucher_no: str
    campaign: str
    village: str
    receipt_no: str


class ReturnedLine(msgspec.Struct, frozen=True):
    """One payer leg of one person in a return; tier only for pension, entitled_* only for special assessments."""

    line_no: int
    person_id: str
    village: str
    payer: str
    fen: int
    standard_fen: int
    paid_at: dt.datetime
    payment_line_id: str = ""
    tier_yuan: int | None = None
    special_assessment_no: str = ""


class CollectionInfoReturnedV1(Message, frozen=True, kw_only=True):
    """征缴信息回传: only after IN_TREASURY, each voucher once per person line (I-23, I-24)."""

    topic: ClassVar = topics.TREASURY

    voucher_no: str
    return_no: str
    campaign: str
    insurance: Insurance
    year: int
    treasury_date: dt.date
    part: int
    parts: int
    total_count: int
    total_fen: int
    lines: tuple[ReturnedLine, ...]


class RefundVerificationRequestedV1(Message, frozen=True, kw_only=True):
    """退费核验请求. reason: DUPLICATE, DIED_BEFORE_PERIOD, PAID_AFTER_DEATH. round: of its requests."""

    topic: ClassVar = topics.REFUNDS

    person_id: str
    refund_no: str
    payment_line_id: str
    campaign: str
    insurance: Insurance
    year: int
    fen: int
    reason: str
    paid_at: dt.datetime
    effective_payment_remains: bool
    in_treasury: bool = False
    round: int = 1


class RefundApprovalRequestedV1(Message, frozen=True, kw_only=True):
    """提请财政审核 of a verified refund."""

    topic: ClassVar = topics.REFUNDS

    person_id: str
    refund_no: str
    campaign: str
    insurance: Insurance
    year: int
    fen: int


class RefundPaidV1(Message, frozen=True, kw_only=True):
    """退库 / 退付 (I-28)."""

    topic: ClassVar = topics.REFUNDS

    person_id: str
    refund_no: str
    payment_line_id: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    fen: int
    paid_on: dt.date
    effective_payment_remains: bool


class RefundPaidAfterCancellationV1(Message, frozen=True, kw_only=True):
    """无据退付: the bank had paid a refund before it was cancelled; the amount is to be recovered (I-28)."""

    topic: ClassVar = topics.REFUNDS

    person_id: str
    refund_no: str
    payment_line_id: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    fen: int
    paid_on: dt.date


class RefundSettledV1(Message, frozen=True, kw_only=True):
    """退费销号."""

    topic: ClassVar = topics.REFUNDS

    person_id: str
    refund_no: str
    campaign: str


class TotalsReconciledV1(Message, frozen=True, kw_only=True):
    """总额对账 of a date and insurance: counts and fen per party (I-29)."""

    topic: ClassVar = topics.RECONCILIATION

    campaign: str
    date: dt.date
    insurance: Insurance
    parties: dict[str, tuple[int, int]]
    in_transit_fen: int
    equal: bool


class ThreeWayMatchVerifiedV1(Message, frozen=True, kw_only=True):
    """收、录、钱一一对应 of a village (I-20)."""

    topic: ClassVar = topics.RECONCILIATION

    campaign: str
    village: str
    insurance: Insurance
    collected_count: int
    collected_fen: int
    entered_count: int
    entered_fen: int
    money_count: int
    money_fen: int
    equal: bool


class ReconciliationDifferenceFoundV1(Message, frozen=True, kw_only=True):
    """对账差异. kind: IN_TRANSIT, MISSING_RETURN, DUP, AMOUNT, UNIDENTIFIED."""

    topic: ClassVar = topics.RECONCILIATION

    campaign: str
    difference_id: str
    date: dt.date
    insurance: Insurance
    kind: str
    fen: int
    owner: str


class ArrivedLeg(msgspec.Struct, frozen=True):
    """A payer leg whose money lies in the fund income account; fen."""

    person_id: str
    payer: str
    fen: int


class FundAccountDepositedV1(Message, frozen=True, kw_only=True):
    """存入基金收入账户: without it nothing may be entered (I-15). village "": a channel's or finance's money."""

    topic: ClassVar = topics.FUND_ACCOUNTS

    village: str
    campaign: str
    deposit_no: str
    kind: str
    insurance: Insurance
    year: int
    date: dt.date
    fen: int
    legs: tuple[ArrivedLeg, ...]


class DocumentLeg(msgspec.Struct, frozen=True):
    """A line of a payment document; fen."""

    line_no: int
    person_id: str
    village: str
    payer: str
    fen: int


class PaymentDocumentDrawnV1(Message, frozen=True, kw_only=True):
    """缴费单据 drawn: what may be entered, at most 500 lines a part. voucher_no: the document's number.

    source: VILLAGE and CHANNEL have their money in the account; GOVERNMENT waits for finance's.
    """

    topic: ClassVar = topics.PAYMENT_DOCUMENTS

    voucher_no: str
    source: str
    campaign: str
    insurance: Insurance
    year: int
    part: int
    parts: int
    legs: tuple[DocumentLeg, ...]


class PaymentDocumentsConfirmedV1(CollectionInfoReturnedV1, frozen=True, kw_only=True):
    """确认缴费单据: booked as a return is. voucher_no: the document's number; treasury_date: day of confirmation."""

    topic: ClassVar = topics.PAYMENT_DOCUMENTS


class VillagePaymentsConfirmedV1(Message, frozen=True, kw_only=True):
    """村居缴费核定完毕: the village publishes its payments; notification starts POST_TREASURY on it."""

    topic: ClassVar = topics.FUND_ACCOUNTS

    village: str
    campaign: str
    roster_id: str
    count: int
    fen: int
