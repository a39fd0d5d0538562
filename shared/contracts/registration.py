"""What registration (参保登记; 人社 and 医保) publishes."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

import msgspec

from shared.contracts import topics
from shared.contracts.message import Message, PersonalMessage
from shared.kernel.insurance import Insurance


class PersonRegisteredV1(PersonalMessage, frozen=True, kw_only=True):
    """人员登记. ``division``: the village (12 digits) that collects; ``household``: 户号."""

    topic: ClassVar = topics.PEOPLE
    receivers: ClassVar = ("subsidy", "notification")

    birth: dt.date
    sex: str
    division: str
    hukou_division: str
    residence_permit: bool = False
    student: bool = False
    household: str = ""


class EmployeeInsuranceReportedV1(Message, frozen=True, kw_only=True):
    """职工保险参保信息 (I-05). On the topic of vital facts: collection needs these few, not everybody registered."""

    topic: ClassVar = topics.VITAL

    person_id: str
    insurance: Insurance
    from_date: dt.date
    to_date: dt.date | None = None


class OutOfAreaCoverReportedV1(Message, frozen=True, kw_only=True):
    """统筹区外参保: paid for the year as a resident elsewhere (YC-2023, 004:L80-82)."""

    topic: ClassVar = topics.VITAL

    person_id: str
    insurance: Insurance
    region: str
    year: int


class RegistrationInfoTransmittedV1(PersonalMessage, frozen=True, kw_only=True):
    """参保登记信息传递（共享平台）: all that tax needs to link and assess, so no order across topics is needed.

    status: ACTIVE or CANCELLED; a later record_version replaces an earlier one of the same record_no.
    """

    topic: ClassVar = topics.ENROLMENT
    receivers: ClassVar = ("collection",)

    record_no: str
    record_version: int
    insurance: Insurance
    year: int
    status: str
    route: str
    period_from: dt.date
    period_to: dt.date
    birth: dt.date
    sex: str
    division: str
    hukou_division: str
    residence_permit: bool = False
    student: bool = False
    household: str = ""


class CollectingUnitInfoTransmittedV1(Message, frozen=True, kw_only=True):
    """委托代收单位信息传递 (ST-2020 duty of 医保)."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str = ""
    unit_id: str
    name: str
    village: str

    def key(self) -> str:
        return self.village


class EnrolmentRejectedV1(Message, frozen=True, kw_only=True):
    """不予登记. rule: AGE_UNDER_16, STUDENT, EMPLOYEE_INSURED, PAID_ELSEWHERE, HUKOU ... (I-04)."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str
    insurance: Insurance
    year: int
    division: str
    rule: str
    clause: str = ""


class SubsidyBeneficiaryImportedV1(Message, frozen=True, kw_only=True):
    """资助名单行导入成功."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str
    list_id: str
    line_no: int
    category: str
    insurance: Insurance
    year: int
    birth: dt.date
    division: str


class SubsidyImportFailedV1(Message, frozen=True, kw_only=True):
    """资助名单行导入失败. error: NOT_ENROLLED, DEAD, EMPLOYEE, DUPLICATE, OTHER_REGION, ID_INVALID."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str
    list_id: str
    line_no: int
    category: str
    insurance: Insurance
    year: int
    error: str


class SpecialIdentityMarkedV1(Message, frozen=True, kw_only=True):
    """特殊群体身份标识 (I-06)."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str
    category: str
    source_department: str
    valid_from: dt.date
    valid_to: dt.date | None = None
    insurance: Insurance | None = None
    year: int = 0


class SpecialIdentityRemovedV1(Message, frozen=True, kw_only=True):
    """特殊群体身份取消."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str
    category: str
    source_department: str
    from_date: dt.date
    insurance: Insurance | None = None
    year: int = 0


class SpecialPaymentAssessedV1(Message, frozen=True, kw_only=True):
    """特殊缴费核定 (I-31): collection collects exactly ``personal_fen``, until ``valid_to``.

    kind: LATE 期外补缴, NEWBORN 新生儿缴费, INTERRUPTION 中断补缴, ARREARS 政策性补缴 (the last two with a tier).
    """

    topic: ClassVar = topics.SPECIAL_ASSESSMENT

    person_id: str
    assessment_no: str
    kind: str
    insurance: Insurance
    year: int
    personal_fen: int
    fiscal_fen: int = 0
    entitled_from: dt.date | None = None
    entitled_to: dt.date | None = None
    valid_to: dt.date
    rule: str = ""
    clause: str = ""
    tier_yuan: int | None = None


class DeathReportedV1(Message, frozen=True, kw_only=True):
    """死亡信息通报. source: CIVIL_AFFAIRS (民政) or POLICE (公安).

    date: the one that counts, the earliest reported; disputed: sources give different ones (scenario 4e).
    """

    topic: ClassVar = topics.VITAL

    person_id: str
    date: dt.date
    source: str
    batch_month: str
    disputed: bool = False


class DeathReportCorrectedV1(Message, frozen=True, kw_only=True):
    """死亡信息更正: ``date`` that counts now; None when nobody reports a death any more."""

    topic: ClassVar = topics.VITAL

    person_id: str
    date: dt.date | None = None
    source: str
    disputed: bool = False


class DeathReportOverdueV1(Message, frozen=True, kw_only=True):
    """未按时通报 (due on the 5th)."""

    topic: ClassVar = topics.VITAL

    person_id: str = ""
    source: str
    month: str

    def key(self) -> str:
        return self.source


class RefusedLine(msgspec.Struct, frozen=True):
    """A returned line registration could not book."""

    line_no: int
    person_id: str
    error: str


class CollectionInfoAcknowledgedV1(Message, frozen=True, kw_only=True):
    """回传确认: one per return document, when its last line is booked or refused (I-24)."""

    topic: ClassVar = topics.BOOKKEEPING

    voucher_no: str
    return_no: str
    booked_lines: int
    booked_fen: int
    refused: tuple[RefusedLine, ...] = ()


class PostedLine(msgspec.Struct, frozen=True):
    """One payer leg of one person booked; fen."""

    person_id: str
    village: str
    payer: str
    fen: int


class BookkeepingEntriesPostedV1(Message, frozen=True, kw_only=True):
    """记账处理: the legs a part of a return document booked, at most 500 (I-15: only after treasury)."""

    topic: ClassVar = topics.BOOKKEEPING

    voucher_no: str
    return_no: str
    campaign: str
    insurance: Insurance
    year: int
    booked_on: dt.date
    lines: tuple[PostedLine, ...]


class BookkeepingMismatchDetectedV1(Message, frozen=True, kw_only=True):
    """比对不一致: field names only, never values of persons."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    return_no: str
    line_no: int
    field: str
    ours_fen: int = 0
    theirs_fen: int = 0


class MedicalEntitlementGrantedV1(Message, frozen=True, kw_only=True):
    """医保待遇生效 (I-25)."""

    topic: ClassVar = topics.ENTITLEMENTS

    person_id: str
    year: int
    village: str
    from_date: dt.date
    to_date: dt.date
    rule: str = ""


class PensionAccountCreditedV1(Message, frozen=True, kw_only=True):
    """个人账户记账（个人缴费）: interest from the first of the next month."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    year: int
    village: str
    fen: int
    credited_on: dt.date
    interest_from: dt.date


class GovernmentMatchingCreditedV1(Message, frozen=True, kw_only=True):
    """政府补贴记账 (I-26)."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    year: int
    village: str
    fen: int
    rule: str = ""


class FamilyPlanningSubsidyCreditedV1(Message, frozen=True, kw_only=True):
    """计生补贴记账 (YC-2023, D-15): once per spouse and year, for one who paid that year."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    year: int
    village: str
    fen: int
    rule: str = ""


class FiscalHeadsCountedV1(Message, frozen=True, kw_only=True):
    """财政补助人数核报: booked heads, restated as a whole; what a claim rests on (D-45).

    kind: MEDICAL_FISCAL, PENSION_MATCHING or FAMILY_PLANNING; fen: what they are entitled to.
    """

    topic: ClassVar = topics.FISCAL_HEADS

    campaign: str
    year: int
    kind: str
    heads: int
    fen: int
    as_of: dt.date


class RefundVerifiedV1(Message, frozen=True, kw_only=True):
    """退费核验通过: decided by 人社/医保 only (I-31). round: the one that was asked."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    refund_no: str
    payment_id: str
    rule: str
    terminates_enrolment: bool = False
    round: int = 1


class RefundVerificationRejectedV1(Message, frozen=True, kw_only=True):
    """退费核验不通过."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    refund_no: str
    payment_id: str
    rule: str
    round: int = 1


class BookkeepingReversedV1(Message, frozen=True, kw_only=True):
    """冲账 after a refund was paid."""

    topic: ClassVar = topics.ACCOUNTS

    person_id: str
    refund_no: str
    insurance: Insurance
    year: int
    fen: int


class EnrolmentEnteredV1(Message, frozen=True, kw_only=True):
    """参保信息录入 of one payer leg: paid, arrived and reconciled (先缴费后录入, I-15). voucher_no: its document."""

    topic: ClassVar = topics.ENROLMENT

    person_id: str
    insurance: Insurance
    year: int
    payer: str
    campaign: str
    village: str
    voucher_no: str
    fen: int
    entered_on: dt.date
