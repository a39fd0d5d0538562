"""The shape of what a pack says of people and money: eligibility, relief, tiers, late payment."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.policy.terms import (
    AgeMode,
    Cited,
    Flag,
    LateAmount,
    Named,
    Number,
    Payer,
    Span,
)


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
