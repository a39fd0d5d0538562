"""Progress of a run on stderr (进度): two bars on a terminal, a line now and then elsewhere.

The upper bar is the campaign's days, the lower one the step under way where the step tells how far it is. A log
gets a line a week, and one whenever half a minute went by: never one per step.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.rehearsal.driver import Watcher

LINE_SECONDS = 30.0
"""Silence of a log is broken after it."""

STEPS = {
    "begin-day": "日切 begin the day",
    "payments": "缴费 payments",
    "close-day": "日结 close the day",
    "debit-vouchers": "划款 debits",
    "treasury-entries": "入库 treasury entries",
    "declare": "申报 declare",
    "month-end": "月末对账 month end",
}
"""What steps are called for people; others by their own name."""


def step_name(name: str) -> str:
    """``2019-10-28/payments`` -> ``缴费 payments``."""
    plain = name.partition("/")[2] or name
    return STEPS.get(plain, plain)


class Bars:
    """Days as a bar with the number of payments beside it; below, the step under way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._days = progress.add_task("准备 preparing", total=None, note="")
        self._step = progress.add_task("", total=None, note="", visible=False)
        self._payments = 0

    def day(self, day: dt.date, number: int, of: int) -> None:
        """A day began."""
        self._progress.update(self._days, description=str(day), total=of, completed=number - 1)

    def step(self, name: str) -> None:
        """A step began; what it does shows once it tells how far it is, or takes time."""
        self._progress.reset(self._step, description=step_name(name), total=None, visible=True)

    def progress(self, done: int, of: int) -> None:
        """How far the step is."""
        self._progress.update(self._step, completed=done, total=of)

    def payments(self, done: int) -> None:
        """More orders were placed."""
        self._payments += done
        self._progress.update(self._days, note=f"{self._payments:,} 笔 orders")


class Lines:
    """A line a week, and when it was silent for long."""

    def __init__(self, out: TextIO | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._now = now
        self._payments = 0
        self._last = now()
        self._where = "准备 preparing"
        self._what = ""

    def day(self, day: dt.date, number: int, of: int) -> None:
        """A day began."""
        self._where = f"{day}  {number}/{of} 天 days"
        if number % 7 == 1 or number == of:
            self._tell(f"{self._where}  {self._payments:,} 笔 orders")

    def step(self, name: str) -> None:
        """A step began."""
        self._what = step_name(name)
        self._silent("")

    def progress(self, done: int, of: int) -> None:
        """How far the step is."""
        self._silent(f" {done:,}/{of:,}")

    def payments(self, done: int) -> None:
        """More orders were placed."""
        self._payments += done

    def _silent(self, how_far: str) -> None:
        if self._now() - self._last >= LINE_SECONDS:
            self._tell(f"{self._where}  {self._what}{how_far}")

    def _tell(self, line: str) -> None:
        self._last = self._now()
        print(line, file=self._out or sys.stderr, flush=True)


@contextmanager
def watcher_for(given: Watcher | None) -> Iterator[Watcher]:
    """The one given, or bars on a terminal and lines elsewhere."""
    console = Console(stderr=True)
    if given is not None:
        yield given
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield Bars(progress)
    else:
        yield Lines()
