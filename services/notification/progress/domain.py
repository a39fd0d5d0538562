"""When a bulletin is due, and how rates are reckoned. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.notification.progress import events as e
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

BULLETIN_WEEKDAY = 0
"""Monday: the plans say regularly (定期通报), DZ-2018 says weekly (000:L274)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A division's figures for one insurance: persons, and fen."""

    division: str
    insurance: Insurance
    persons: int
    exempt_persons: int
    paid_persons: int
    due_fen: int
    paid_fen: int


def evolve(state: bool, event: Event) -> bool:
    """Issued or not."""
    return state or isinstance(event, e.ProgressBulletinIssued)


def bulletin_due(day: dt.date, window_from: dt.date, window_to: dt.date) -> bool:
    """Every Monday of the window, and its last day."""
    return window_from <= day <= window_to and (day.weekday() == BULLETIN_WEEKDAY or day == window_to)


def issue_bulletin(issued: bool, campaign: str, day: dt.date, figures: Figures) -> Decision:
    """Once per division, insurance and day."""
    if issued:
        return []
    return [
        e.ProgressBulletinIssued(
            campaign=campaign,
            day=day,
            insurance=figures.insurance,
            division=figures.division,
            persons=figures.persons,
            exempt_persons=figures.exempt_persons,
            paid_persons=figures.paid_persons,
            due_fen=figures.due_fen,
            paid_fen=figures.paid_fen,
        )
    ]


def rate(persons: int, exempt: int, paid: int, scope: str) -> float:
    """Share of the target reached: (paid + exempt) / persons where the scope is ALL, else
    paid / (persons - exempt) (D-20); 0.0 for nobody."""
    if scope == "ALL":
        return (paid + exempt) / persons if persons else 0.0
    payers = persons - exempt
    return paid / payers if payers else 0.0
