"""The shape of a policy pack (政策包) as written in YAML.

Amounts are whole yuan as the plans print them; the compiled pack (:mod:`shared.policy.pack`)
hands out fen. Every value stands in a mapping that cites its clause: ``002:L69-71`` is lines
69 to 71 of source document 002, ``D-07`` an entry of the discrepancy register, ``EXT:…`` a
public rule outside the plans. Several clauses are separated by blanks. No sentence of a plan
is copied. Unknown fields are refused, so a misspelt key cannot become a silent default.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import msgspec


class Insurance(StrEnum):
    """险种."""

    MEDICAL = "medical"
    PENSION = "pension"


class Reading(StrEnum):
    """How a value stands to the text: printed in it, or read into it."""

    PRINTED = "printed"
    INFERRED = "inferred"
    EXTERNAL = "external"
    CARRIED_OVER = "carried_over"


class Payer(StrEnum):
    """Who pays a leg of an obligation (缴费主体)."""

    PERSON = "person"
    VILLAGE = "village"
    SPONSOR = "sponsor"
    DEPARTMENT = "department"
    FINANCE = "finance"


class ChannelKind(StrEnum):
    """How a payer meets a channel: through a village agent, online, or at a counter."""

    AGENT = "AGENT"
    ONLINE = "ONLINE"
    COUNTER = "COUNTER"


class PhaseKind(StrEnum):
    """阶段: preparation, collection, treasury entry, data entry (2018), notice."""

    PREPARATION = "PREPARATION"
    COLLECTION = "COLLECTION"
    TREASURY = "TREASURY"
    DATA_ENTRY = "DATA_ENTRY"
    NOTICE = "NOTICE"


class NoticeKind(StrEnum):
    """公示 kinds. PRIOR_YEAR is DZ-2018's publication of last year's payments."""

    ROSTER = "ROSTER"
    PRE_DECLARATION = "PRE_DECLARATION"
    POST_TREASURY = "POST_TREASURY"
    YEAR_END = "YEAR_END"
    PRIOR_YEAR = "PRIOR_YEAR"


class HouseholdMode(StrEnum):
    """虚拟户 mode. UNSPECIFIED refuses until an operator decides it in the pack (D-42)."""

    FULL = "FULL"
    FALLBACK = "FALLBACK"
    NONE = "NONE"
    UNSPECIFIED = "UNSPECIFIED"


class AgeMode(StrEnum):
    """Reference date of an age: 31 December before the insured year, or the payment date."""

    YEAR_END_BEFORE = "YEAR_END_BEFORE"
    PAYMENT_DATE = "PAYMENT_DATE"


class LateAmount(StrEnum):
    """逾期缴费 amount: personal part and fiscal subsidy, personal part only, or a parameter."""

    FULL_COST = "FULL_COST"
    PERSONAL_PART = "PERSONAL_PART"
    PARAMETER = "PARAMETER"


class ParameterKind(StrEnum):
    """Unit or type of a parameter's value."""

    YUAN = "yuan"
    DAYS = "days"
    MONTHS = "months"
    YEARS = "years"
    CHOICE = "choice"
    FLAG = "flag"
    DATE = "date"
    CATEGORIES = "categories"


class Cited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value with where it comes from."""

    clause: str
    reading: Reading = Reading.PRINTED
    discrepancy: str = ""


class Named(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something people call by a code, its Chinese term or an alias."""

    code: str
    term: str
    aliases: tuple[str, ...] = ()


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source document. What the text does not print is null (D-01), never invented."""

    id: str
    title: str = ""
    doc_no: str | None = None
    issuer: str | None = None
    issued: dt.date | None = None
    annex_dated: dt.date | None = None
    role: str = "plan"


class Region(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """行政区划 the plan is for; 6 digits a district, 9 a town or sub-district."""

    name: str
    division: str
    level: str
    short_name: str = ""


class Place(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A town a campaign can be rehearsed in, with its size in persons (D-56 where synthetic)."""

    name: str
    division: str
    villages: int
    medical_persons: int
    pension_persons: int


class Span(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calendar days, both ends included."""

    start: dt.date = msgspec.field(name="from")
    end: dt.date = msgspec.field(name="to")

    def holds(self, day: dt.date) -> bool:
        """True when ``day`` lies inside."""
        return self.start <= day <= self.end

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days + 1


class Phase(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """阶段 of a campaign."""

    kind: PhaseKind
    term: str


class Windows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """集中征缴期 of each insurance."""

    medical: Span
    pension: Span


class Flag(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A yes or no of the plan."""

    value: bool


class Number(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole number: given, or named as a parameter that must give it."""

    value: int | None = None
    parameter: str = ""


class Choice(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A word from a closed set."""

    value: str


class MedicalEligibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """居民医疗保险参保范围."""

    hukou: Flag
    permit: Flag
    outside_students: Flag
    employee_excluded: Flag
    paid_elsewhere_excluded: Flag | None = None
    household: Flag | None = None


class PensionEligibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """居民养老保险参保范围; ages in full years."""

    hukou: Flag
    permit: Flag
    students_excluded: Flag
    employee_excluded: Flag
    age_min: Number
    age_max: Number


class Eligibility(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """参保对象和范围."""

    medical: MedicalEligibility
    pension: PensionEligibility


class Category(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A special identity (特殊群体身份). ``named`` is false when the plan's list omits it.

    implies: categories whose reliefs this one also has (D-30). submitter: department code.
    list_only: being marked with it means standing on the submitter's list, nothing more.
    """

    named: bool = True
    implies: tuple[str, ...] = ()
    submitter: str = ""
    list_only: bool = False


class Department(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A department that supplies lists (名单) and, where the plan says so, applies for funds."""

    supplies: tuple[str, ...] = ()
    funds: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the person pays: yuan, percent of the standard, a parameter's yuan, or standard less it."""

    yuan: int | None = None
    percent: int | None = None
    parameter: str = ""
    less: str = ""


class Relief(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """减免 or 代缴: who gets it, what is left to the person, who pays the rest.

    A person matches by a category, or by age (full years on the reference date, or the printed
    birth dates). ``requires_list``: only when one of these departments lists the person.
    ``unless``: categories that bar it. ``first_aid``: parameter whose yuan the department pays
    before ``payer`` pays the rest (D-14).
    """

    rule: str
    person: Share
    payer: Payer
    categories: tuple[str, ...] = ()
    age_from: int | None = None
    age_to: int | None = None
    born_from: dt.date | None = None
    born_to: dt.date | None = None
    unless: tuple[str, ...] = ()
    requires_list: tuple[str, ...] = ()
    first_aid: str = ""


class AgeReference(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which date decides an age, per way of paying (D-43)."""

    mode: AgeMode


class AgeReferences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Agent, counter and list share one reference; online may have its own (YC-2023)."""

    default: AgeReference
    online: AgeReference


class LateRule(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """逾期: first late day, amount, waiting period (等待期). Medical only.

    start, wait_days and wait_months name parameters; exactly one wait is set.
    """

    start: str
    amount: LateAmount
    amount_parameter: str = ""
    wait_days: str = ""
    wait_months: str = ""


class Medical(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """居民医疗保险: yuan per person and year."""

    personal: Number
    fiscal: Number
    relief: tuple[Relief, ...]
    late: LateRule
    entitlement: Span
    total: Number | None = None
    pay_once: Flag | None = None
    online_forfeits_relief: Flag | None = None
    sponsor_aid: Flag | None = None


class Tier(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """缴费档次 and its government matching subsidy (政府补贴), yuan per year."""

    yuan: int
    matching_yuan: int


class TierGroup(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier and the categories it is for."""

    tier_yuan: int
    categories: tuple[str, ...]
    payer: Payer | None = None
    open_list: bool = False


class FamilyPlanning(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """计生家庭缴费补贴 per spouse and year, by the wife's age (D-15)."""

    yuan: int
    kinds: tuple[str, ...]
    wife_age_min: int
    wife_age_on: dt.date
    supplier: str


class Pension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """居民养老保险."""

    tiers: tuple[Tier, ...]
    lowest_tier: TierGroup
    gov_paid: TierGroup
    provisional: Flag | None = None
    family_planning: FamilyPlanning | None = None


class Channel(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """缴费渠道 as the plan names it. ``kinds``: an agent and a payer may both use one."""

    kinds: tuple[ChannelKind, ...]
    insurances: tuple[Insurance, ...] = (Insurance.MEDICAL, Insurance.PENSION)
    receipt: bool = False
    cash: bool = False


class Receipt(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """收据 the agent issues."""

    term: str
    village_seal: bool = False
    stub: bool = False


class PaymentMethod(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a collecting unit pays its declaration (申报缴费方式)."""

    code: str
    term: str
    counter: bool


class Notice(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """公示: days it must run at least; ``days`` null where the plan gives none."""

    kind: NoticeKind
    days: int | None
    start: dt.date | None = msgspec.field(default=None, name="from")
    end: dt.date | None = msgspec.field(default=None, name="to")


class Target(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """任务目标. percent null = no percentage printed; ages null = everyone."""

    insurance: Insurance
    measure: str
    percent: int | None = None
    age_from: int | None = None
    age_to: int | None = None
    printed_age_to: int | None = None


class Deadline(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """期限: a date, a day of each month, or a period (DAILY, WEEKLY, BIRTHDAY)."""

    code: str
    actor: str
    what: str
    date: dt.date | None = None
    monthly_day: int | None = None
    every: str = ""
    strict: bool = True


class FlowStep(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of the flow (参保缴费流程), with the events that show it happened."""

    step: str
    stage: int
    term: str
    actor: str
    events: tuple[str, ...] = ()


class Prohibition(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """禁止行为. Enforced in every pack; reading says whether this plan prints it (D-33)."""

    code: str
    term: str


class TaskRow(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of 任务分配表. 万元 and 元 are different fields and never added (D-19)."""

    name: str
    division: str = ""
    units: int | None = None
    pension_persons: int | None = None
    pension_amount_wan_yuan: int | None = None
    medical_persons: int
    medical_amount_yuan: int | None = None


class TaskTable(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """任务分配表. scope: ALL persons, or EXCL_EXEMPT. total null where none is printed."""

    scope: str
    unit_term: str
    rows: tuple[TaskRow, ...]
    total: TaskRow | None = None


class Parameter(Cited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value an operator may set (``--param name=value``). value null = unspecified: refuses.

    rule: the rule named by POLICY_UNSPECIFIED while value is null.
    """

    name: str
    kind: ParameterKind
    purpose: str
    value: int | bool | str | None = None
    rule: str = ""
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class DiscrepancyReading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this pack reads an entry of the discrepancy register, in our own words."""

    id: str
    choice: str


class PackDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole pack as written."""

    id: str
    version: int
    insured_year: int
    documents: tuple[Document, ...]
    region: Region
    places: tuple[Place, ...]
    collector: Choice
    office: Choice
    windows: Windows
    phases: tuple[Phase, ...]
    eligibility: Eligibility
    age_reference: AgeReferences
    categories: tuple[Category, ...]
    departments: tuple[Department, ...]
    medical: Medical
    pension: Pension
    channels: tuple[Channel, ...]
    virtual_household: Choice
    roster_basis: Choice
    notices: tuple[Notice, ...]
    targets: tuple[Target, ...]
    deadlines: tuple[Deadline, ...]
    flow: tuple[FlowStep, ...]
    prohibitions: tuple[Prohibition, ...]
    parameters: tuple[Parameter, ...]
    readings: tuple[DiscrepancyReading, ...]
    receipt: Receipt | None = None
    declaration_payments: tuple[PaymentMethod, ...] = ()
    task_table: TaskTable | None = None
    audit_body: Choice | None = None
