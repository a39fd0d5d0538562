"""How far a number, a day or a moment from outside may go (取值范围).

What is taken is in the log for ever: a day no time zone or month can be reckoned from, or a count no column holds,
would be accepted once and then stop every read model that meets it.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec

MOST = 2**31 - 1
"""Persons, rows, versions, signatures: whatever is counted."""

MOST_FEN = 10**15
"""The whole country's yearly collection is less than a tenth of it."""

FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2199, 12, 31)
"""The earliest birth and the latest end of anything."""

SCHEMA = {"formatMinimum": FIRST_DAY.isoformat(), "formatMaximum": LAST_DAY.isoformat()}
"""What a day's or moment's JSON schema says of it: ``minimum`` is for numbers."""

InsuredYear = Annotated[int, msgspec.Meta(ge=2000, le=2100)]
"""参保年度, as a decoded struct has it."""

Quantity = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""数量, as a decoded struct has it: not negative."""

Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST_FEN)]
"""金额, fen unless its field says otherwise: not negative."""

When = Annotated[dt.datetime, msgspec.Meta(tz=True, extra_json_schema=SCHEMA)]
"""时刻, as a decoded struct has it, with its offset; its struct calls ``check_days``."""


def out_of_calendar(day: dt.date) -> bool:
    """Whether a day, or a moment by its own clock, is before ``FIRST_DAY`` or after ``LAST_DAY``."""
    return not FIRST_DAY.year <= day.year <= LAST_DAY.year


def check_days(**days: dt.date | None) -> None:
    """For ``__post_init__`` of a struct that is decoded: raises ValueError for the first field whose day is out of
    the calendar, in the words msgspec has for where a fault lies, and no value."""
    for name, day in days.items():
        if day is not None and out_of_calendar(day):
            raise ValueError(f"Expected a day or moment between 1900 and 2199 - at `$.{name}`")
