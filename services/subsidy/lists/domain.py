"""A list: what it claims, its stamp, and what is released to registration. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.subsidy.lists import events as e
from services.subsidy.lists.events import ListLine
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

PART = 500
"""Lines of one event."""


@dataclass(frozen=True, slots=True)
class SubmitList:
    """报送名单. lines: already looked up by number; ``deadline``: last day the pack wants lists by.

    resubmits: a list whose failed lines come back corrected, under their numbers; ``corrects``: that list.
    """

    list_id: str
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    stamped_total: int
    legal_basis: str
    lines: tuple[ListLine, ...]
    deadline: dt.date | None
    resubmits: str = ""
    corrects: Resubmitted | None = None


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """What is known of the list a resubmission corrects. failed: its lines that failed and are not corrected."""

    department: str
    category: str
    insurance: Insurance
    campaign: str
    failed: frozenset[int]


@dataclass(frozen=True, slots=True)
class SubsidyList:
    """State of ``list:{id}``."""

    header: e.SubsidyListSubmitted | None = None
    lines: tuple[ListLine, ...] = ()
    verified: bool = False


def evolve(state: SubsidyList, event: Event) -> SubsidyList:
    """Fold one event."""
    match event:
        case e.SubsidyListSubmitted():
            return replace(state, header=event)
        case e.SubsidyListLinesRecorded():
            return replace(state, lines=state.lines + event.lines)
        case e.SubsidyListVerified():
            return replace(state, verified=True)
        case _:
            return state


def submit_list(state: SubsidyList, command: SubmitList, today: dt.date) -> Decision:
    """Record a list with every line's finding. A late list is accepted and flagged (I-10)."""
    if state.header is not None:
        return Refusal("LIST_EXISTS", rule="I-10", field="list_id", message="名单编号已用 / list id is taken")
    if command.stamped_total != len(command.lines):
        return Refusal(
            "STAMPED_TOTAL_MISMATCH",
            rule="I-10",
            clause="004:L225-236",
            field="stamped_total",
            message="盖章总人数与名单行数不符 / stamped total differs from the number of lines",
        )
    if not command.lines:
        return Refusal("LIST_EMPTY", rule="I-10", field="lines", message="名单为空 / the list has no lines")
    numbers = [line.line_no for line in command.lines]
    if len(set(numbers)) != len(numbers):
        return Refusal(
            "LINE_NO_REPEATED", rule="I-10", field="lines", message="行号重复 / line numbers repeat"
        )
    fault = _resubmission_fault(command) if command.resubmits else None
    if fault is not None:
        return fault
    lines = _without_repeats(command.lines)
    header = e.SubsidyListSubmitted(
        list_id=command.list_id,
        department=command.department,
        category=command.category,
        insurance=command.insurance,
        year=command.year,
        campaign=command.campaign,
        stamped_total=command.stamped_total,
        unmatched=sum(bool(line.error) for line in lines),
        legal_basis=command.legal_basis,
        late=command.deadline is not None and today > command.deadline,
        resubmits=command.resubmits,
    )
    pages = [lines[start : start + PART] for start in range(0, len(lines), PART)]
    return [
        header,
        *(
            e.SubsidyListLinesRecorded(
                list_id=command.list_id,
                part=number,
                parts=len(pages),
                lines=page,
                resubmits=command.resubmits,
            )
            for number, page in enumerate(pages, 1)
        ),
    ]


def _resubmission_fault(command: SubmitList) -> Refusal | None:
    """A correction is of the same list's kind, and of lines that failed there (I-10)."""
    known = command.corrects
    if known is None:
        return Refusal(
            "LIST_UNKNOWN", rule="I-10", field="resubmits", message="没有此名单 / no such list to correct"
        )
    same = (command.department, command.category, command.insurance, command.campaign)
    if (known.department, known.category, known.insurance, known.campaign) != same:
        return Refusal(
            "LIST_DIFFERS", rule="I-10", field="resubmits", message="与原名单类别不同 / another kind of list"
        )
    if not known.failed.issuperset(line.line_no for line in command.lines):
        return Refusal(
            "LINE_NOT_FAILED",
            rule="I-10",
            field="lines",
            message="只可更正导入失败的行 / only failed lines come back corrected",
        )
    return None


def _without_repeats(lines: tuple[ListLine, ...]) -> tuple[ListLine, ...]:
    seen: set[str] = set()
    found: list[ListLine] = []
    for line in lines:
        if not line.error and line.person_id in seen:
            found.append(ListLine(line.line_no, line.person_id, line.valid_from, "DUPLICATE"))
            continue
        seen.add(line.person_id)
        found.append(line)
    return tuple(found)


def verify_list(state: SubsidyList, stamp: str, count: int, verified_by: str) -> Decision:
    """Verified once, with the stamp and the number of lines; good lines are released (I-10)."""
    header = state.header
    if header is None:
        return Refusal("LIST_UNKNOWN", rule="I-10", message="没有此名单 / no such list")
    if state.verified:
        return Refusal("LIST_VERIFIED", rule="I-10", message="名单已核实 / the list is verified")
    if not stamp.strip():
        return Refusal("STAMP_MISSING", rule="I-10", field="stamp", message="须盖章确认 / a stamp is needed")
    if count != len(state.lines):
        return Refusal(
            "STAMPED_TOTAL_MISMATCH",
            rule="I-10",
            field="count",
            message="核实人数与名单行数不符 / verified count differs from the number of lines",
        )
    good = tuple(line for line in state.lines if not line.error)
    released: list[Event] = [
        e.SubsidyLinesReleased(
            list_id=header.list_id,
            department=header.department,
            category=header.category,
            insurance=header.insurance,
            year=header.year,
            campaign=header.campaign,
            lines=good[start : start + PART],
        )
        for start in range(0, len(good), PART)
    ]
    verified = e.SubsidyListVerified(
        list_id=header.list_id,
        department=header.department,
        stamp=stamp.strip(),
        count=count,
        verified_by=verified_by,
    )
    return [verified, *released]
