"""Faults of a pack: what ``liangxian packs check`` prints and loading a county's own plan needs.

I-01: totals, tiers and the late rule. I-02: task table arithmetic. Further: every clause has a
known form and document, every name used is defined, unset parameters name the rule they refuse by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import msgspec

from shared.kernel.identity import full_years
from shared.policy.model import PackDocument
from shared.policy.pack import Pack, normal_name
from shared.policy.parameters import parse_value
from shared.policy.provisions import Relief
from shared.policy.task_tables import PackFault, task_table_faults
from shared.policy.terms import Cited, LateAmount, Named, Number, Reading

_TOKEN = re.compile(r"(?P<document>[0-9A-Za-z]+):L\d+(-\d+)?\Z|D-\d{2}\Z|I-\d{2}\Z|EXT:\S+\Z", re.ASCII)
_REGISTER = re.compile(r"D-\d{2}\Z", re.ASCII)


def check_pack(pack: Pack) -> list[PackFault]:
    """All faults of a pack; an empty list is a sound pack."""
    document = pack.document
    return [
        *_amounts(document),
        *_tiers(document),
        *_parameters(pack),
        *_relief(pack),
        *_names(document),
        *_dates(pack),
        *_clauses(document),
        *task_table_faults(document.task_table, document.medical.personal.value),
    ]


# -- I-01 ---------------------------------------------------------------------------------------


def _amounts(document: PackDocument) -> Iterator[PackFault]:
    medical = document.medical
    personal, fiscal = medical.personal.value, medical.fiscal.value
    total = None if medical.total is None else medical.total.value
    if None not in (total, personal, fiscal) and total != (personal or 0) + (fiscal or 0):
        yield PackFault("I-01", "medical.total", f"{total} is not {personal} + {fiscal}")
    late = medical.late
    if late.amount is LateAmount.FULL_COST and fiscal is None and not medical.fiscal.parameter:
        yield PackFault("I-01", "medical.late", "full cost needs the fiscal subsidy or its parameter")
    if (late.amount is LateAmount.PARAMETER) != bool(late.amount_parameter):
        yield PackFault("I-01", "medical.late", "amount_parameter goes with amount PARAMETER")
    if bool(late.wait_days) == bool(late.wait_months):
        yield PackFault("LATE_WAIT", "medical.late", "exactly one of wait_days and wait_months")
    for path, number in (("medical.personal", medical.personal), ("medical.fiscal", medical.fiscal)):
        if (number.value is None) == (not number.parameter):
            yield PackFault("AMOUNT", path, "exactly one of value and parameter")
        if number.value is not None and number.value < 0:
            yield PackFault("AMOUNT", path, "negative")


def _tiers(document: PackDocument) -> Iterator[PackFault]:
    pension = document.pension
    amounts = [tier.yuan for tier in pension.tiers]
    if not amounts:
        yield PackFault("I-01", "pension.tiers", "no tier")
    if any(low >= high for low, high in pairwise(amounts)):
        yield PackFault("I-01", "pension.tiers", "tiers must strictly ascend")
    for tier in pension.tiers:
        if tier.yuan <= 0 or tier.matching_yuan < 0:
            yield PackFault("I-01", f"pension.tiers.{tier.yuan}", "amounts must be positive")
    for name, group in (("lowest_tier", pension.lowest_tier), ("gov_paid", pension.gov_paid)):
        if not amounts or group.tier_yuan != amounts[0]:
            yield PackFault("I-13", f"pension.{name}", "must name the lowest tier")


# -- parameters ---------------------------------------------------------------------------------


def _parameters(pack: Pack) -> Iterator[PackFault]:
    document = pack.document
    for parameter in document.parameters:
        path = f"parameters.{parameter.name}"
        if parameter.value is None:
            if not parameter.rule:
                yield PackFault("PARAMETER_RULE", path, "an unset parameter names the rule it refuses by")
            continue
        try:
            parse_value(parameter, parameter.value)
        except ValueError:
            yield PackFault("PARAMETER_VALUE", path, f"the value is no {parameter.kind.value}")
    for path, name in _used_parameters(document):
        if pack.parameter(name) is None:
            yield PackFault("PARAMETER_MISSING", path, f"no parameter {name}")


def _used_parameters(document: PackDocument) -> Iterator[tuple[str, str]]:
    late = document.medical.late
    yield "medical.late.start", late.start
    for field in ("amount_parameter", "wait_days", "wait_months"):
        if getattr(late, field):
            yield f"medical.late.{field}", getattr(late, field)
    for relief in document.medical.relief:
        for name in (relief.person.parameter, relief.person.less, relief.first_aid):
            if name:
                yield f"medical.relief.{relief.rule}", name
    for path, value in _walk(document, ""):
        if isinstance(value, Number) and value.parameter:
            yield path, value.parameter
    for name in ("late_relief", "wait_counting", "gov_paid_effective"):
        yield "parameters", name


# -- relief -------------------------------------------------------------------------------------


def _relief(pack: Pack) -> Iterator[PackFault]:
    standard = pack.document.medical.personal.value
    for relief in pack.document.medical.relief:
        path = f"medical.relief.{relief.rule}"
        share = relief.person
        given = [
            x
            for x in (share.yuan, share.percent, share.parameter or None, share.less or None)
            if x is not None
        ]
        if len(given) != 1:
            yield PackFault("I-12", path, "exactly one of yuan, percent, parameter and less")
        if share.yuan is not None and not 0 <= share.yuan <= (standard or share.yuan):
            yield PackFault("I-12", path, "the person's share is not between 0 and the standard")
        if share.percent is not None and not 0 <= share.percent <= 100:
            yield PackFault("I-12", path, "percent is not between 0 and 100")
        if share.percent is not None and standard is not None and standard * share.percent % 100:
            yield PackFault("I-12", path, "the share is no whole yuan")
        if share.yuan is not None and relief.reading in (Reading.INFERRED, Reading.EXTERNAL):
            yield PackFault("READING", path, "an amount that is read into the text must be a parameter")
        if not relief.categories and relief.age_from is None and relief.born_to is None:
            yield PackFault("RELIEF", path, "matches everyone")
        yield from _band(pack, relief, path)


def _band(pack: Pack, relief: Relief, path: str) -> Iterator[PackFault]:
    """Printed birth dates must be the ages they stand for on the reference date (D-08, D-43)."""
    if relief.born_to is not None and relief.age_from is not None:
        age = full_years(relief.born_to, pack.age_date)
        if age != relief.age_from:
            yield PackFault("AGE_BAND", path, f"the latest birth date is age {age}, not {relief.age_from}")
    if relief.born_from is not None and relief.age_to is not None:
        age = full_years(relief.born_from, pack.age_date)
        if age != relief.age_to:
            yield PackFault("AGE_BAND", path, f"the earliest birth date is age {age}, not {relief.age_to}")


# -- names --------------------------------------------------------------------------------------


def _names(document: PackDocument) -> Iterator[PackFault]:
    yield from _ambiguous("categories", document.categories)
    yield from _ambiguous("departments", document.departments)
    yield from _ambiguous("channels", document.channels)
    categories = {category.code for category in document.categories}
    departments = {department.code for department in document.departments}
    for path, codes in _used_categories(document):
        for code in codes:
            if code not in categories:
                yield PackFault("CATEGORY_MISSING", path, f"no category {code}")
    for path, codes in _used_departments(document):
        for code in codes:
            if code not in departments:
                yield PackFault("DEPARTMENT_MISSING", path, f"no department {code}")
    for path, ids in (
        ("flow", [step.step for step in document.flow]),
        ("readings", [reading.id for reading in document.readings]),
        ("parameters", [parameter.name for parameter in document.parameters]),
        ("prohibitions", [prohibition.code for prohibition in document.prohibitions]),
        ("medical.relief", [relief.rule for relief in document.medical.relief]),
    ):
        if len(set(ids)) != len(ids):
            yield PackFault("NAME_TWICE", path, "a name is given twice")
    for channel in document.channels:
        if channel.cash and not (channel.receipt and document.receipt is not None):
            yield PackFault("I-19", f"channels.{channel.code}", "cash needs a receipt")


def _ambiguous(path: str, entries: Iterable[Named]) -> Iterator[PackFault]:
    owner: dict[str, str] = {}
    for entry in entries:
        for name in sorted({normal_name(name) for name in (entry.code, entry.term, *entry.aliases)}):
            if owner.setdefault(name, entry.code) != entry.code:
                yield PackFault("NAME_AMBIGUOUS", path, f"{name} means {owner[name]} and {entry.code}")


def _used_categories(document: PackDocument) -> Iterator[tuple[str, tuple[str, ...]]]:
    for category in document.categories:
        yield f"categories.{category.code}.implies", category.implies
    for department in document.departments:
        yield f"departments.{department.code}", department.supplies + department.funds
    for relief in document.medical.relief:
        yield f"medical.relief.{relief.rule}", relief.categories + relief.unless
    yield "pension.lowest_tier", document.pension.lowest_tier.categories
    yield "pension.gov_paid", document.pension.gov_paid.categories


def _used_departments(document: PackDocument) -> Iterator[tuple[str, tuple[str, ...]]]:
    for category in document.categories:
        yield f"categories.{category.code}.submitter", (category.submitter,) if category.submitter else ()
    for relief in document.medical.relief:
        yield f"medical.relief.{relief.rule}", relief.requires_list
    if document.pension.family_planning is not None:
        yield "pension.family_planning", (document.pension.family_planning.supplier,)


# -- dates and clauses --------------------------------------------------------------------------


def _dates(pack: Pack) -> Iterator[PackFault]:
    document = pack.document
    spans = [("windows.medical", document.windows.medical), ("windows.pension", document.windows.pension)]
    spans += [(f"phases.{phase.kind.value}", phase) for phase in document.phases]
    spans.append(("medical.entitlement", document.medical.entitlement))
    for path, span in spans:
        if span.start > span.end:
            yield PackFault("DATES", path, "ends before it starts")
    entitlement = document.medical.entitlement
    if (entitlement.start, entitlement.end) != (pack.year_start, pack.year_end):
        yield PackFault("DATES", "medical.entitlement", "is not the insured year (I-25)")
    window = document.windows.medical
    if not (window.start <= pack.collection.start and pack.collection.end <= window.end):
        yield PackFault("DATES", "phases.COLLECTION", "lies outside the window")
    if not pack.id.endswith(f"-{pack.insured_year:04d}"):
        yield PackFault("ID", "id", "does not end with the insured year")
    for notice in document.notices:
        if notice.days is not None and notice.days < 1:
            yield PackFault("I-09", f"notices.{notice.kind.value}", "runs less than a day")


def _clauses(document: PackDocument) -> Iterator[PackFault]:
    known = {source.id for source in document.documents}
    for path, value in _walk(document, ""):
        if not isinstance(value, Cited):
            continue
        if value.discrepancy and not _REGISTER.match(value.discrepancy):
            yield PackFault("CLAUSE", path, "discrepancy is no D-nn")
        tokens = value.clause.split()
        if not tokens:
            yield PackFault("CLAUSE", path, "no clause")
        for token in tokens:
            match = _TOKEN.match(token)
            if match is None:
                yield PackFault("CLAUSE", path, f"{token} is no clause")
            elif match["document"] is not None and match["document"] not in known:
                yield PackFault("CLAUSE", path, f"document {match['document']} is not declared")


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}.{index}")
    elif isinstance(value, msgspec.Struct):
        yield path, value
        for field in value.__struct_fields__:
            yield from _walk(getattr(value, field), f"{path}.{field}" if path else field)
