"""Events of stream ``process:birthday-hold:{year}:{insurance}:{person}``."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class BirthdayHoldNotified(Event, frozen=True, kw_only=True):
    """待满周岁再缴提醒 (YC-2023, 004:L203-207): paying from ``birthday`` on costs less."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    birthday: dt.date


EVENTS: tuple[type[Event], ...] = (BirthdayHoldNotified,)
