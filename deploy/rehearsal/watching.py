"""Progress of a run on stderr: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.rehearsal.driver import Watcher


class Bars:
    """Days as a bar, the present step and the number of payments beside it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("准备 / preparing", total=None, day="", payments=0)
        self._payments = 0

    def day(self, day: dt.date, number: int, of: int) -> None:
        """A day began."""
        self._progress.update(self._task, total=of, completed=number, day=day.isoformat())

    def step(self, name: str) -> None:
        """A step began."""
        self._progress.update(self._task, description=name.partition("/")[2])

    def payments(self, done: int) -> None:
        """More orders were placed."""
        self._payments += done
        self._progress.update(self._task, payments=self._payments)


class Lines:
    """A line per week, for logs."""

    def __init__(self) -> None:
        self._payments = 0

    def day(self, day: dt.date, number: int, of: int) -> None:
        """A day began."""
        if number % 7 == 1 or number == of:
            print(
                f"{day}  {number}/{of} 天 / days  {self._payments} 笔 / orders", file=sys.stderr, flush=True
            )

    def step(self, name: str) -> None:
        """A step began: too many for a log."""

    def payments(self, done: int) -> None:
        """More orders were placed."""
        self._payments += done


@contextmanager
def watcher_for(given: Watcher | None) -> Iterator[Watcher]:
    """The one given, or bars on a terminal and lines elsewhere."""
    console = Console(stderr=True)
    if given is not None:
        yield given
    elif console.is_terminal:
        columns = (
            TextColumn("{task.fields[day]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[payments]} 笔 / orders"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            yield Bars(progress)
    else:
        yield Lines()
