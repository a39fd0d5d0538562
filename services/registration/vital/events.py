"""Events of stream ``person:{id}`` about death and household registration, and of the reporting calendar."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event


class DeathReported(Event, frozen=True, kw_only=True):
    """死亡信息通报. source: CIVIL_AFFAIRS or POLICE; disputed: another source gave another date.

    date: as this source reports it; effective: the date that counts from now on.
    """

    person_id: str
    date: dt.date
    source: str
    batch_month: str
    disputed: bool
    effective: dt.date


class DeathDateDisputed(Event, frozen=True, kw_only=True):
    """死亡日期不一致: sources disagree; a task stays open until one of them corrects (scenario 4e)."""

    person_id: str
    division: str
    source: str
    date: dt.date
    other_source: str
    other_date: dt.date


class DeathReportCorrected(Event, frozen=True, kw_only=True):
    """死亡信息更正: ``date`` None withdraws the report; effective: what counts, None = alive."""

    person_id: str
    date: dt.date | None
    source: str
    effective: dt.date | None
    disputed: bool


class DeathBatchReceived(Event, frozen=True, kw_only=True):
    """每月通报收到: a source has reported for the month, be it nobody (000:L227, 001:L154)."""

    source: str
    month: str
    count: int


class DeathReportOverdue(Event, frozen=True, kw_only=True):
    """未按时通报: the source's report of the month was due on the 5th of the next."""

    source: str
    month: str


class HukouChanged(Event, frozen=True, kw_only=True):
    """户籍变更: the household registration moved."""

    person_id: str
    hukou_division: str
    date: dt.date


class HukouCancelled(Event, frozen=True, kw_only=True):
    """销户: the household registration was cancelled."""

    person_id: str
    date: dt.date


EVENTS: tuple[type[Event], ...] = (
    DeathReported,
    DeathDateDisputed,
    DeathReportCorrected,
    DeathBatchReceived,
    DeathReportOverdue,
    HukouChanged,
    HukouCancelled,
)
