"""Importing a list's line (集中导入), and removing an identity. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.registration.facts import Insured, Resident
from services.registration.special_identities import events as e
from shared.kernel.division import within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance


@dataclass(frozen=True, slots=True)
class Mark:
    """One identity from one department for one year."""

    year: int
    category: str
    department: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Identities in force and the list lines imported so far."""

    marks: frozenset[Mark] = frozenset()
    lines: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class ListLine:
    """A line of a verified list whose person subsidy has found. region: of the list's campaign."""

    person_id: str
    list_id: str
    line_no: int
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    region: str
    valid_from: dt.date


def evolve(state: Marks, event: Event) -> Marks:
    """Fold one event; the enrolment's own leave it unchanged."""
    match event:
        case e.SubsidyBeneficiaryImported():
            return replace(state, lines=state.lines | {(event.list_id, event.line_no)})
        case e.SpecialIdentityMarked():
            mark = Mark(event.year, event.category, event.source_department)
            return replace(state, marks=state.marks | {mark})
        case e.SpecialIdentityRemoved():
            mark = Mark(event.year, event.category, event.source_department)
            return replace(state, marks=state.marks - {mark})
        case _:
            return state


def import_error(state: Marks, line: ListLine, resident: Resident | None, enrolment: Insured | None) -> str:
    """Why a line cannot be imported; empty when it can.

    Two departments may claim one person for the same category (D-27): that is an overlap for subsidy to
    resolve, not a duplicate. The same department's second claim is.
    """
    if resident is None or resident.merged_into:
        return "NOT_ENROLLED"
    if resident.died_on is not None:
        return "DEAD"
    if not within(resident.division, line.region):
        return "OTHER_REGION"
    if enrolment is None or not enrolment.live:
        return "NOT_ENROLLED"
    if resident.employee_insured(line.insurance, enrolment.period_from, enrolment.period_to):
        return "EMPLOYEE"
    if Mark(line.year, line.category, line.department) in state.marks:
        return "DUPLICATE"
    return ""


def import_line(line: ListLine, resident: Resident) -> list[Event]:
    """The line imported, and the identity marked until the year's end (I-06)."""
    return [
        e.SubsidyBeneficiaryImported(
            person_id=line.person_id,
            list_id=line.list_id,
            line_no=line.line_no,
            department=line.department,
            category=line.category,
            insurance=line.insurance,
            year=line.year,
            campaign=line.campaign,
            birth=resident.birth,
            division=resident.division,
        ),
        e.SpecialIdentityMarked(
            person_id=line.person_id,
            insurance=line.insurance,
            year=line.year,
            category=line.category,
            source_department=line.department,
            valid_from=line.valid_from,
            valid_to=dt.date(line.year, 12, 31),
        ),
    ]


def fail_line(line: ListLine, error: str) -> list[Event]:
    """The line refused, so that imported + failed = lines."""
    return [
        e.SubsidyImportFailed(
            person_id=line.person_id,
            list_id=line.list_id,
            line_no=line.line_no,
            category=line.category,
            insurance=line.insurance,
            year=line.year,
            campaign=line.campaign,
            error=error,
        )
    ]


def remove_identity(
    state: Marks,
    person_id: str,
    insurance: Insurance,
    year: int,
    category: str,
    department: str,
    from_date: dt.date,
) -> Decision:
    """End an identity; only the department that gave it may (I-06)."""
    if Mark(year, category, department) not in state.marks:
        return Refusal("NOT_FOUND", rule="IDENTITY_NOT_MARKED", field="category")
    return [
        e.SpecialIdentityRemoved(
            person_id=person_id,
            insurance=insurance,
            year=year,
            category=category,
            source_department=department,
            from_date=from_date,
        )
    ]
