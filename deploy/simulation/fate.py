"""Strikes the faults of a plan when their time comes, and keeps the record of what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from deploy.simulation.plan import Fault, Plan


class Fate:
    """Counts what happens where. now: virtual seconds. ``record`` is kept only when it is traced."""

    def __init__(self, plan: Plan, now: Callable[[], float], *, traced: bool = False) -> None:
        self._now = now
        self._due = {(fault.kind, fault.where, fault.at): fault for fault in plan.faults}
        self._watched = {(fault.kind, fault.where) for fault in plan.faults}
        self._counts: Counter[tuple[str, str]] = Counter()
        self.struck: list[Fault] = []
        self.traced = traced
        self.record: list[str] = []
        self.calm = False

    def strikes(self, kind: str, where: str) -> Fault | None:
        """The fault that strikes this time, if any."""
        if (kind, where) not in self._watched:
            return None
        self._counts[kind, where] += 1
        fault = self._due.get((kind, where, self._counts[kind, where]))
        if fault is None or self.calm:
            return None
        self.struck.append(fault)
        self.note(f"! {fault}")
        return fault

    def note(self, text: str) -> None:
        """Keep a line of the trace."""
        if self.traced:
            self.record.append(f"{self._now():9.3f}  {text}")
