"""CPU accounts: who used the two cores while something was measured, and how much others did."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def seconds_of(pid: int) -> float:
    """CPU seconds of a process and of the children it has collected; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


def seconds_of_server(postmaster: int) -> float:
    """CPU seconds of a PostgreSQL server's processes, those that ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == postmaster:
            ticks += int(fields[11]) + int(fields[12])
        elif int(stat.parent.name) == postmaster:
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def busy_seconds() -> float:
    """CPU seconds the whole machine has been busy."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, interrupts, soft, *_ = map(int, fields)
    return (user + nice + system + interrupts + soft) / TICK


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU seconds at a moment."""

    at: float
    busy: float
    parts: Mapping[str, float]


class Accounts:
    """pids: named processes; postmaster: PostgreSQL's main process."""

    def __init__(self, pids: Mapping[str, int], postmaster: int = 0) -> None:
        self._pids = dict(pids)
        self._postmaster = postmaster

    def read(self) -> Reading:
        """Now."""
        parts = {name: seconds_of(pid) for name, pid in self._pids.items()}
        if self._postmaster:
            parts["postgresql"] = seconds_of_server(self._postmaster)
        return Reading(time.perf_counter(), busy_seconds(), parts)

    def since(self, before: Reading, generator: float = 0.0) -> dict[str, float]:
        """Percent of one core per part since then. ``others``: what nobody of ours used."""
        now = self.read()
        wall = max(now.at - before.at, 1e-9)
        used = {name: now.parts[name] - before.parts[name] for name in now.parts}
        if generator:
            used["generator"] = generator
        used["others"] = max(0.0, now.busy - before.busy - sum(used.values()))
        return {name: round(100 * seconds / wall, 1) for name, seconds in used.items()}
