"""What the capabilities of registration know of one another: plain facts, no I/O.

A capability never imports a sibling; ``sources.py`` says how it asks, ``app.py`` passes the answers in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from shared.kernel.insurance import Insurance


class EmployeeSpell(msgspec.Struct, frozen=True):
    """Cover by employee insurance (职工保险); ``to_date`` None while it lasts."""

    insurance: Insurance
    from_date: dt.date
    to_date: dt.date | None

    def overlaps(self, start: dt.date, end: dt.date) -> bool:
        """True when the spell shares a day with ``start``..``end`` (I-05)."""
        return self.from_date <= end and (self.to_date is None or self.to_date >= start)


class Resident(msgspec.Struct, frozen=True):
    """What siblings may know of a person: never a name, number or phone.

    died_on: date of death as reported, None while alive; hukou_division: after the last household change.
    """

    person_id: str
    birth: dt.date
    sex: str
    division: str
    hukou_division: str
    residence_permit: bool
    student: bool
    household: str
    identified: bool
    merged_into: str
    died_on: dt.date | None
    employee: tuple[EmployeeSpell, ...]
    elsewhere: frozenset[tuple[Insurance, int]]

    def employee_insured(self, insurance: Insurance, start: dt.date, end: dt.date) -> bool:
        """True when employee cover of the same insurance overlaps the period (D-34)."""
        return any(spell.insurance is insurance and spell.overlaps(start, end) for spell in self.employee)


class Insured(msgspec.Struct, frozen=True):
    """An enrolment of one insurance and year. live: neither cancelled, terminated nor rejected."""

    record_no: str
    live: bool
    period_from: dt.date
    period_to: dt.date


class Assessed(msgspec.Struct, frozen=True):
    """A special assessment (特殊缴费核定) in force for an insurance and year; amounts in fen."""

    assessment_no: str
    personal_fen: int
    valid_to: dt.date


class Identities(msgspec.Struct, frozen=True):
    """Special identities of a person for one insurance and year, as imported lists say (I-06)."""

    categories: tuple[str, ...]
    departments: tuple[str, ...]


class Booked(msgspec.Struct, frozen=True):
    """What is booked for one insurance and year: fen per payer leg, and the standard the lines named.

    paid_on: day of the person's own payment; None when only others have paid.
    """

    legs: Mapping[str, int]
    standard_fen: int
    paid_on: dt.date | None
    village: str
    special_assessment_no: str


class Cover(msgspec.Struct, frozen=True):
    """Medical cover of a year; both None while there is none."""

    from_date: dt.date | None
    to_date: dt.date | None
