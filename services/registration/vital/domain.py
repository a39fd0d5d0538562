"""Decisions about deaths and households. Pure.

Sources may disagree on the date of death. Until one of them corrects, the earliest date counts: it is the
one under which no money is kept that should go back (I-16), and a correction undoes what followed from it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.registration.vital import events as e
from shared.kernel.division import is_division
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event

SOURCES = ("CIVIL_AFFAIRS", "POLICE")
DUE_DAY = 5
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Life:
    """State of ``person:{id}`` as far as death and household go. reports: date per source."""

    reports: Mapping[str, dt.date] = field(default_factory=dict)
    hukou_division: str = ""
    hukou_cancelled_on: dt.date | None = None

    @property
    def died_on(self) -> dt.date | None:
        """The date that counts; None while nobody reports a death."""
        return min(self.reports.values(), default=None)

    @property
    def disputed(self) -> bool:
        """True while sources disagree."""
        return len(set(self.reports.values())) > 1


def evolve(state: Life, event: Event) -> Life:
    """Fold one event; others of the person's stream leave it unchanged."""
    match event:
        case e.DeathReported():
            return replace(state, reports={**state.reports, event.source: event.date})
        case e.DeathReportCorrected():
            kept = {source: date for source, date in state.reports.items() if source != event.source}
            if event.date is not None:
                kept[event.source] = event.date
            return replace(state, reports=kept)
        case e.HukouChanged():
            return replace(state, hukou_division=event.hukou_division)
        case e.HukouCancelled():
            return replace(state, hukou_cancelled_on=event.date)
        case _:
            return state


def report_death(
    state: Life,
    person_id: str,
    division: str,
    birth: dt.date,
    date: dt.date,
    source: str,
    batch_month: str,
    today: dt.date,
) -> Decision:
    """Record a source's report; the same fact again records nothing (I-16).

    A source that wants to change its own date must correct, so that a typing error is not a second death.
    """
    fault = _source_fault(source) or _month_fault(batch_month, "batch_month")
    if fault is not None:
        return fault
    if date > today or date < birth:
        return Refusal("VALIDATION_FAILED", rule="DEATH_DATE", field="date")
    known = state.reports.get(source)
    if known == date:
        return []
    if known is not None:
        return Refusal(
            "INVALID_STATE",
            rule="DEATH_DATE_KNOWN",
            field="date",
            message="该来源已报告其他日期，请作更正 / this source gave another date: correct it",
        )
    others = {other: other_date for other, other_date in state.reports.items() if other_date != date}
    effective = min([date, *state.reports.values()])
    events: list[Event] = [
        e.DeathReported(
            person_id=person_id,
            date=date,
            source=source,
            batch_month=batch_month,
            disputed=bool(others),
            effective=effective,
        )
    ]
    events += [
        e.DeathDateDisputed(
            person_id=person_id,
            division=division,
            source=source,
            date=date,
            other_source=other,
            other_date=other_date,
        )
        for other, other_date in sorted(others.items())
    ]
    return events


def correct_death(
    state: Life, person_id: str, birth: dt.date, date: dt.date | None, source: str, today: dt.date
) -> Decision:
    """Change or withdraw (``date`` None) a source's report (scenario 4d)."""
    fault = _source_fault(source)
    if fault is not None:
        return fault
    known = state.reports.get(source)
    if known is None:
        return Refusal("NOT_FOUND", rule="DEATH_NOT_REPORTED", field="source")
    if known == date:
        return []
    if date is not None and (date > today or date < birth):
        return Refusal("VALIDATION_FAILED", rule="DEATH_DATE", field="date")
    after = {other: other_date for other, other_date in state.reports.items() if other != source}
    if date is not None:
        after[source] = date
    return [
        e.DeathReportCorrected(
            person_id=person_id,
            date=date,
            source=source,
            effective=min(after.values(), default=None),
            disputed=len(set(after.values())) > 1,
        )
    ]


def change_hukou(state: Life, person_id: str, hukou_division: str, date: dt.date, today: dt.date) -> Decision:
    """Record a move of the household registration; the same again records nothing."""
    if not is_division(hukou_division):
        return Refusal("VALIDATION_FAILED", rule="DIVISION", field="hukou_division")
    if date > today:
        return Refusal("VALIDATION_FAILED", rule="DATE_IN_FUTURE", field="date")
    if state.hukou_division == hukou_division:
        return []
    return [e.HukouChanged(person_id=person_id, hukou_division=hukou_division, date=date)]


def cancel_hukou(state: Life, person_id: str, date: dt.date, today: dt.date) -> Decision:
    """Record a cancelled household registration (销户); once."""
    if date > today:
        return Refusal("VALIDATION_FAILED", rule="DATE_IN_FUTURE", field="date")
    if state.hukou_cancelled_on is not None:
        return []
    return [e.HukouCancelled(person_id=person_id, date=date)]


@dataclass(frozen=True, slots=True)
class DeathBatch:
    """State of ``process:death-batch:{source}:{month}``."""

    received: bool = False
    overdue: bool = False


def evolve_batch(state: DeathBatch, event: Event) -> DeathBatch:
    """Fold one event."""
    match event:
        case e.DeathBatchReceived():
            return replace(state, received=True)
        case e.DeathReportOverdue():
            return replace(state, overdue=True)
        case _:
            return state


def receive_batch(state: DeathBatch, source: str, month: str, count: int) -> Decision:
    """Note that a source has reported for a month."""
    fault = _source_fault(source) or _month_fault(month, "month")
    if fault is not None:
        return fault
    if count < 0:
        return Refusal("VALIDATION_FAILED", rule="COUNT", field="count")
    return [] if state.received else [e.DeathBatchReceived(source=source, month=month, count=count)]


def find_overdue(state: DeathBatch, source: str, month: str) -> list[Event]:
    """Overdue once, if the month's report has not come."""
    if state.received or state.overdue:
        return []
    return [e.DeathReportOverdue(source=source, month=month)]


def month_before(day: dt.date) -> str:
    """``2019-11`` for any day of December 2019."""
    last = day.replace(day=1) - dt.timedelta(days=1)
    return f"{last.year:04d}-{last.month:02d}"


def _source_fault(source: str) -> Refusal | None:
    if source in SOURCES:
        return None
    return Refusal("VALIDATION_FAILED", rule="DEATH_SOURCE", field="source")


def _month_fault(month: str, name: str) -> Refusal | None:
    return None if _MONTH.match(month) else Refusal("VALIDATION_FAILED", rule="MONTH", field=name)
