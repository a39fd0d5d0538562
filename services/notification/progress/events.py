"""Events of stream ``process:progress-bulletin:{campaign}:{division}:{insurance}:{day}``."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class ProgressBulletinIssued(Event, frozen=True, kw_only=True):
    """征缴进度通报: a town's figures for one insurance, persons and fen."""

    campaign: str
    day: dt.date
    insurance: Insurance
    division: str
    persons: int
    exempt_persons: int
    paid_persons: int
    due_fen: int
    paid_fen: int


EVENTS: tuple[type[Event], ...] = (ProgressBulletinIssued,)
