"""The shape of a policy pack (政策包) as written in YAML.

Amounts are whole yuan as the plans print them; the compiled pack (:mod:`shared.policy.pack`)
hands out fen. Every value stands in a mapping that cites its clause: ``002:L69-71`` is lines
69 to 71 of source document 002, ``D-07`` an entry of the discrepancy register, ``EXT:…`` a
public rule outside the plans. Several clauses are separated by blanks. No sentence of a plan
is copied. Unknown fields are refused, so a misspelt key cannot become a silent default.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.policy.provisions import AgeReferences, Category, Department, Eligibility, Medical, Pension
from shared.policy.terms import (
    ChannelKind,
    Choice,
    Cited,
    Insurance,
    Named,
    NoticeKind,
    ParameterKind,
    PhaseKind,
    Span,
)


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


class Phase(Span, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """阶段 of a campaign."""

    kind: PhaseKind
    term: str


class Windows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """集中征缴期 of each insurance."""

    medical: Span
    pension: Span


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
