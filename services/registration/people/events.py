"""Events of stream ``person:{id}`` that say who a person is. No name, number or phone ever."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.identity import Sex
from shared.kernel.insurance import Insurance


class PersonRegistered(Event, frozen=True, kw_only=True):
    """人员登记 (I-03). division: collecting village; identified: there is a number."""

    person_id: str
    birth: dt.date
    sex: Sex
    division: str
    hukou_division: str
    residence_permit: bool
    student: bool
    household: str
    identified: bool


class PersonIdentityChanged(Event, frozen=True, kw_only=True):
    """人员信息变更: the particulars as they are now; ``changed`` names the fields, private ones included."""

    person_id: str
    changed: tuple[str, ...]
    birth: dt.date
    sex: Sex
    division: str
    hukou_division: str
    residence_permit: bool
    student: bool
    household: str
    identified: bool


class PersonIdentityMerged(Event, frozen=True, kw_only=True):
    """人员信息合并: the person is the survivor; its history stays as it is."""

    person_id: str
    survivor_id: str


class EmployeeInsuranceReported(Event, frozen=True, kw_only=True):
    """职工保险参保信息 (I-05); ``to_date`` None while it lasts."""

    person_id: str
    insurance: Insurance
    from_date: dt.date
    to_date: dt.date | None = None


class OutOfAreaCoverageReported(Event, frozen=True, kw_only=True):
    """统筹区外参保: paid as a resident elsewhere for the year (YC-2023, 004:L81)."""

    person_id: str
    insurance: Insurance
    region: str
    year: int


EVENTS: tuple[type[Event], ...] = (
    PersonRegistered,
    PersonIdentityChanged,
    PersonIdentityMerged,
    EmployeeInsuranceReported,
    OutOfAreaCoverageReported,
)
