"""What a system takes: memory, CPU seconds and disk as a report shows them (issue: disk and memory in the report)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploy.local.layout import Layout, Options, ProgramState, State, write_state
from deploy.local.measuring import MIB, Meter, measure, size_of
from deploy.local.processes import Family, Running, identify, python
from tests.integration.local.test_supervisor import small_programs, supervised


def ourselves() -> Running:
    found = identify(os.getpid())
    assert found is not None
    return found


def state_of(meter: Meter, pid: int) -> ProgramState:
    return meter.state(pid=pid, port=0, running=pid > 0, restarts=0)


def test_cpu_of_a_process_counts_once_over_supervisors() -> None:
    """Given a supervisor that was killed, when the next one goes on with the process, then nothing is doubled."""
    here = ourselves()
    first = Meter()
    first.read(here)
    told = state_of(first, here.pid)
    second = Meter(told)
    second.read(here)
    again = state_of(second, here.pid)
    assert again.cpu_before == 0
    assert told.cpu_seconds <= again.cpu_seconds < told.cpu_seconds + 5


def test_cpu_of_ended_processes_is_kept() -> None:
    """Given 7 CPU seconds of a process that ended, when another runs in its place, then both are told."""
    before = ProgramState(
        pid=0, port=0, running=False, restarts=0, peak_mib=3.0, cpu_seconds=7.0, cpu_before=2.0
    )
    meter = Meter(before)
    meter.read(None)
    assert state_of(meter, 0).cpu_seconds == 7.0
    meter.read(ourselves())
    told = state_of(meter, os.getpid())
    assert told.cpu_before == 7.0
    assert told.cpu_seconds > 7.0
    assert told.peak_mib >= 3.0


def test_children_count_with_their_parent() -> None:
    """The backends of PostgreSQL are its children: their memory and CPU are the server's."""
    child = subprocess.Popen([python(), "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in [each.pid for each in Family.now().below(os.getpid())]
    finally:
        child.communicate(b"\n", timeout=20)


def test_disk_is_what_blocks_take(tmp_path: Path) -> None:
    """A preallocated file that holds nothing takes nothing."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "full").write_bytes(b"x" * MIB)
    with (tmp_path / "empty").open("wb") as hole:
        hole.truncate(64 * MIB)
    assert MIB <= size_of(tmp_path) < 2 * MIB
    assert size_of(tmp_path / "nothing") == 0


async def test_a_running_system_is_measured_part_by_part(tmp_path: Path) -> None:
    """Databases of the four services and the broker, the write-ahead log, and the folders beside them."""
    async with supervised(Options(data=tmp_path / "data"), small_programs("one")) as system:
        found = await measure(system.layout.data)
    assert {"registration", "collection", "subsidy", "notification", "broker", "wal"} <= set(
        found.disk_mib_parts
    )
    assert "postgres" not in found.disk_mib_parts
    assert abs(sum(found.disk_mib_parts.values()) - found.disk_mib) < found.disk_mib * 0.2
    assert found.peak_mib["postgres"] > 0
    assert found.cpu_seconds["postgres"] > 0
    assert found.cpu_seconds["one"] > 0


async def test_a_system_that_is_down_is_measured_without_its_databases(tmp_path: Path) -> None:
    """What was written stays told."""
    layout = Layout(tmp_path)
    write_state(
        layout,
        State(1, False, "embedded", 8101, True, {"one": ProgramState(0, 1, False, 0, 12.5, 3.25, 0.0)}),
    )
    found = await measure(tmp_path)
    assert (found.peak_mib, found.cpu_seconds) == ({"one": 12.5}, {"one": 3.25})
    assert found.disk_mib < 1
