"""Bulletins, rates and birthday reminders."""

from __future__ import annotations

import datetime as dt

import pytest

from services.notification.progress import domain as p
from services.notification.progress import events as pe
from services.notification.reminders import domain as r
from services.notification.reminders import events as re
from shared.kernel.insurance import Insurance

WINDOW = (dt.date(2019, 10, 1), dt.date(2019, 12, 20))


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (dt.date(2019, 9, 30), False),  # a Monday before the window
        (dt.date(2019, 10, 7), True),
        (dt.date(2019, 10, 8), False),
        (dt.date(2019, 12, 20), True),  # the window's last day, a Friday
        (dt.date(2019, 12, 23), False),
    ],
)
def test_bulletins_come_weekly_inside_the_window(day: dt.date, due: bool) -> None:
    assert p.bulletin_due(day, *WINDOW) is due


def test_a_bulletin_is_issued_once() -> None:
    figures = p.Figures("370406101", Insurance.MEDICAL, 10, 2, 5, 260_000, 130_000)
    decision = p.issue_bulletin(False, "370406-2020", dt.date(2019, 10, 7), figures)
    assert isinstance(decision, list)
    assert isinstance(decision[0], pe.ProgressBulletinIssued)
    assert p.issue_bulletin(p.evolve(False, decision[0]), "370406-2020", dt.date(2019, 10, 7), figures) == []


@pytest.mark.parametrize(("scope", "expected"), [("ALL", 0.7), ("EXCL_EXEMPT", 0.625)])
def test_the_rate_follows_the_targets_scope(scope: str, expected: float) -> None:
    """D-20: 2020 counts everybody, 2025 leaves exempt people out."""
    assert p.rate(10, 2, 5, scope) == expected


@pytest.mark.parametrize("scope", ["ALL", "EXCL_EXEMPT"])
def test_a_village_without_payers_has_rate_zero(scope: str) -> None:
    assert p.rate(0, 0, 0, scope) == 0.0


def test_a_birthday_is_reminded_of_once() -> None:
    """YC-2023, 004:L203-207."""
    args = ("p1", Insurance.MEDICAL, 2023, "370404-2023", "370404101201", dt.date(2022, 11, 3))
    decision = r.notify_birthday_hold(frozenset(), *args)
    assert isinstance(decision, list)
    assert isinstance(decision[0], re.BirthdayHoldNotified)
    assert r.notify_birthday_hold(r.evolve(frozenset(), decision[0]), *args) == []
