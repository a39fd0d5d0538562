"""How far a command is, on stderr (进度): a bar on a terminal, lines elsewhere, nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from deploy.cli.output import err

LINE_SECONDS = 10.0
"""A log gets a new stage at once, and how far it is this often."""


class Stages:
    """Told what is being done, and how far it is where that is known."""

    def stage(self, name: str, of: int | None = None) -> None:
        """Something else begins; of: into how many parts it falls."""

    def done(self, parts: int) -> None:
        """So many parts of it are done."""

    def __call__(self, name: str, done: int = 0, of: int = 0) -> None:
        """Both at once, as the audit tells it, whose parts run beside one another; of 0: nobody knows."""
        self.stage(name, of or None)
        self.done(done)


class _Bar(Stages):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)
        self._name = ""
        self._beside: dict[str, TaskID] = {}

    def stage(self, name: str, of: int | None = None) -> None:
        if name != self._name:
            self._name = name
            self._progress.reset(self._task, description=name)
        self._progress.update(self._task, total=of)

    def done(self, parts: int) -> None:
        self._progress.update(self._task, completed=parts)

    def __call__(self, name: str, done: int = 0, of: int = 0) -> None:
        if name not in self._beside:
            if self._name:
                self._beside[name] = self._progress.add_task(name, total=None)
            else:
                self.stage(name)
                self._beside[name] = self._task
        self._progress.update(self._beside[name], completed=done, total=of or None)


class Told(Stages):
    """Lines."""

    def __init__(self, tell: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._now = now
        self._name, self._of = "", 0
        self._last = now()
        self._beside: dict[str, float] = {}

    def stage(self, name: str, of: int | None = None) -> None:
        """See Stages."""
        again = name == self._name
        self._name, self._of = name, of or 0
        if not again:
            self._line(name)

    def done(self, parts: int) -> None:
        """See Stages."""
        if self._of and self._now() - self._last >= LINE_SECONDS:
            self._line(f"{self._name} {parts}/{self._of}")

    def __call__(self, name: str, done: int = 0, of: int = 0) -> None:
        """See Stages."""
        known = self._beside.get(name)
        if known is not None and self._now() - known < LINE_SECONDS:
            return
        self._beside[name] = self._now()
        self._line(name if known is None or not of else f"{name} {done}/{of}")

    def _line(self, line: str) -> None:
        self._last = self._now()
        self._tell(line)


@contextmanager
def stages(console: Console = err) -> Iterator[Stages]:
    """A bar that goes when it is over, or lines."""
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress)
    else:
        yield Told(lambda line: console.print(line, markup=False))
