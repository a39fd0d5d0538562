"""Many seeds, on several cores, and a record of those that are done: an interrupted run goes on where it was."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from deploy.simulation.plan import draw_plan
from deploy.simulation.running import History, Workshop

SLICE = 10
"""Seeds a worker takes at once."""

ROOT = Path(__file__).parents[2]
SOURCES = ("shared", "services", "deploy")

_workshops: list[Workshop] = []


def run_slice(seeds: Sequence[int]) -> list[History]:
    """Histories of some seeds, in this process; what they need is made with the first."""
    if not _workshops:
        _workshops.append(Workshop())
    return [_workshops[0].run(draw_plan(seed)) for seed in seeds]


def histories(wanted: Sequence[int], jobs: int) -> Iterator[History]:
    """In the seeds' order. The first is run here; the other processes begin with what it made and compiled."""
    if jobs == 1 or len(wanted) <= SLICE:
        for seed in wanted:
            yield from run_slice([seed])
        return
    yield from run_slice(wanted[:1])
    _workshops[0].prepare()
    try:
        slices = [wanted[start : start + SLICE] for start in range(1, len(wanted), SLICE)]
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
            for part in pool.map(run_slice, slices):
                yield from part
    finally:
        gc.unfreeze()


class OtherCodeError(Exception):
    """The record is of other code: a seed says something about one version only."""


class Record(AbstractContextManager["Record"]):
    """A file of histories, one a line, after a line that names the code. Raises OtherCodeError."""

    def __init__(self, path: Path) -> None:
        self.done: dict[int, History] = {}
        self._code = _fingerprint()
        self._file: BinaryIO = path.open("a+b")
        self._file.seek(0)
        lines = self._file.read().split(b"\n")[:-1]  # what was not written to its end is run again
        if lines and lines[0].decode() != self._code:
            self._file.close()
            raise OtherCodeError(path.name)
        for line in lines[1:]:
            history = msgspec.json.decode(line, type=History)
            self.done[history.seed] = history
        self._file.truncate(sum(len(line) + 1 for line in lines))
        if not lines:
            self._write(self._code.encode())

    def add(self, history: History) -> None:
        """Keep one that is done."""
        self._write(msgspec.json.encode(history))

    def _write(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _fingerprint() -> str:
    """Of all that a history depends on here."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".yaml", ".sql"}:
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
