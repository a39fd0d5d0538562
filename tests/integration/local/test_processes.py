"""Processes told apart by start time, ended politely, and leashed to this one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.control import keep_private
from deploy.local.layout import Layout
from deploy.local.processes import (
    Running,
    end,
    identify,
    leash,
    read_pid_file,
    spawn,
    until,
    write_pid_file,
)

HOLDER = """
import signal, sys
from deploy.local.processes import leash
leash(int(sys.argv[1]), signal.SIGTERM)
print("held", flush=True)
signal.pause()
"""


SHARING = """
import mmap, os, signal
memory = mmap.mmap(-1, 64 << 20)
pages = range(0, len(memory), 4096)
for page in pages: memory[page] = 1
for _ in range(3):
    if os.fork() == 0:
        sum(memory[page] for page in pages)
        print("shared", flush=True)
        signal.pause()
signal.pause()
"""


def start(tmp_path: Path, script: str = "import signal; signal.pause()") -> subprocess.Popen[bytes]:
    return spawn([sys.executable, "-c", script], log=tmp_path / "log")


async def test_a_pid_file_names_a_live_process_only(tmp_path: Path) -> None:
    child = start(tmp_path)
    running = identify(child.pid)
    assert running is not None
    write_pid_file(tmp_path / "pid", running)
    assert read_pid_file(tmp_path / "pid") == running
    child.kill()
    child.wait()
    assert read_pid_file(tmp_path / "pid") is None


def test_a_reused_pid_is_not_ours(tmp_path: Path) -> None:
    """The pid lives, but it started at another time: a stranger after a reboot."""
    ours = identify(os.getpid())
    assert ours is not None
    stranger = Running(ours.pid, ours.started - 3600)
    write_pid_file(tmp_path / "pid", stranger)
    assert read_pid_file(tmp_path / "pid") is None
    assert stranger.signal(signal.SIGTERM) is False


def test_a_torn_pid_file_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("12", encoding="ascii")
    assert read_pid_file(tmp_path / "pid") is None


async def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); [signal.pause() for _ in iter(int, 1)]"
    )
    child = start(tmp_path, script)
    assert await until(lambda: "deaf" in (tmp_path / "log").read_text(), seconds=10)
    running = identify(child.pid)
    assert running is not None
    assert await end(running, grace=0.3) is False
    assert child.wait(timeout=5) == -signal.SIGKILL


async def test_a_leash_ends_the_process_when_its_holder_is_killed(tmp_path: Path) -> None:
    """kill -9 of a test run must leave no server behind."""
    child = start(tmp_path)
    holder = spawn(
        [
            sys.executable,
            "-c",
            HOLDER,
            str(child.pid),
        ],
        log=tmp_path / "holder",
    )
    assert await until(lambda: "held" in (tmp_path / "holder").read_text(), seconds=20)
    holder.kill()
    holder.wait()
    assert await until(lambda: child.poll() is not None, seconds=10)
    assert child.returncode == -signal.SIGTERM


async def test_a_released_leash_ends_nothing(tmp_path: Path) -> None:
    child = start(tmp_path)
    leash(child.pid)()
    assert child.poll() is None
    child.kill()
    child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells shared pages apart")
async def test_memory_that_a_tree_shares_counts_once(tmp_path: Path) -> None:
    """peak_mib of PostgreSQL: its buffers are one memory, however many backends have touched them."""
    child = start(tmp_path, SHARING)
    try:
        assert await until(lambda: (tmp_path / "log").read_text().count("shared") == 3, seconds=20)
        running = identify(child.pid)
        assert running is not None
        usage = running.usage()
        assert 64 << 20 < usage.resident_bytes < 128 << 20
        assert usage.cpu_seconds > 0
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def test_nobody_else_looks_into_the_data_directory(tmp_path: Path) -> None:
    """Logs, states and journals are the installation's own; as root others may pass, PostgreSQL's user must."""
    layout = Layout(tmp_path / "deep" / "data")
    layout.log("one").parent.mkdir(parents=True, mode=0o755)
    keep_private(layout)
    assert stat.S_IMODE(layout.data.stat().st_mode) in (0o700, 0o711)
    assert not stat.S_IMODE(layout.data.stat().st_mode) & 0o066
    folders = [each for each in layout.data.iterdir() if each.is_dir()]
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}
    child = spawn([sys.executable, "-c", "print('told')"], log=layout.log("one"))
    assert child.wait(30) == 0
    assert stat.S_IMODE(layout.log("one").stat().st_mode) == 0o600
    assert layout.log("one").read_text(encoding="ascii") == "told\n"
