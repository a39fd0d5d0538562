"""Child processes of one machine: started detached, told apart by start time, ended politely.

A pid alone says little after a reboot or a long outage: another program may own it by then.
So a pid file holds ``<pid>`` on its first line (``kill -9 $(head -1 F)`` works) and the
process's start time on its second, and only a process with both is taken for ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
PORTS = range(15_000, 32_000)
"""Below what systems give to outgoing connections (Linux from 32768 on)."""
PORT_TRIES = 200
_started: list[
    subprocess.Popen[bytes]
] = []  # kept so that one which outlives its owner is no ResourceWarning


class StartFailed(RuntimeError):
    """A process ended, or did not become ready, before its deadline; the message names its log."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user a server runs as when we are root (PostgreSQL refuses root)."""

    name: str
    uid: int
    gid: int


def reachable(path: Path, account: Account) -> bool:
    """True when ``account`` can get to ``path`` (every folder above lets others pass)."""
    answer = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return answer.returncode == 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program uses: bytes resident now, CPU seconds (user and system) since it started."""

    resident_bytes: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Family:
    """Who is whose child at one moment: one look at the machine's processes instead of one per program."""

    children: Mapping[int, Sequence[psutil.Process]]

    @classmethod
    def now(cls) -> Family:
        """As it is now."""
        children: dict[int, list[psutil.Process]] = {}
        for each in psutil.process_iter(["ppid"]):
            children.setdefault(each.info["ppid"], []).append(each)
        return cls(children)

    def below(self, pid: int) -> list[psutil.Process]:
        """Children, their children, and so on."""
        found = list(self.children.get(pid, ()))
        for each in found:
            found += self.children.get(each.pid, ())
        return found


@dataclass(frozen=True, slots=True)
class Running:
    """A live process of ours, as its pid file names it."""

    pid: int
    started: float

    def process(self) -> psutil.Process | None:
        """The process if it still is the one that was started, else None (a zombie is none)."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.started) < 1.0
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def alive(self) -> bool:
        return self.process() is not None

    def usage(self, family: Family | None = None) -> Usage:
        """Memory resident now and CPU seconds since its start, children included; zeros once it is gone.

        Pages that processes of one tree share (PostgreSQL's buffers) count once where the system tells them
        apart, as the most that any of them has. CPU of children that have ended counts where the system keeps
        it with their parent (Linux). family: taken once for several programs.
        """
        found = self.process()
        if found is None:
            return Usage(0, 0.0)
        own = shared = 0
        seconds = 0.0
        for each in [found, *(family or Family.now()).below(self.pid)]:
            with contextlib.suppress(psutil.Error):
                memory, times = each.memory_info(), each.cpu_times()
                together = int(getattr(memory, "shared", 0))
                own += memory.rss - together
                shared = max(shared, together)
                ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                seconds += times.user + times.system + ended
        return Usage(own + shared, seconds)

    def signal(self, number: int) -> bool:
        """Send a signal; False when the process is gone."""
        if self.process() is None:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def identify(pid: int) -> Running | None:
    """The running process with this pid, or None."""
    try:
        return Running(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace ``path`` in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # a password file that is empty after a power cut locks the cluster
    partial.replace(path)


def write_pid_file(path: Path, running: Running) -> None:
    write_atomically(path, f"{running.pid}\n{running.started!r}\n")


def read_pid_file(path: Path) -> Running | None:
    """The process a pid file names if it is still alive; None for a stale, missing or torn file."""
    try:
        pid, started = path.read_text(encoding="utf-8").split()[:2]
        running = Running(int(pid), float(started))
    except (OSError, ValueError):
        return None
    return running if running.alive() else None


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    account: Account | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to ``log``.

    It outlives us: a supervisor that is killed must not take the database with it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=directory,
            start_new_session=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
    _remember(child)
    return child


def _remember(child: subprocess.Popen[bytes]) -> None:
    """Keep a child until it has ended and was collected."""
    _started[:] = [each for each in _started if each.poll() is None]
    _started.append(child)


def leash(pid: int, number: int = signal.SIGINT) -> Callable[[], None]:
    """Signal ``pid`` when this process ends, however it ends; calling the result lets it go.

    A shell waits on a pipe whose other end only we hold: even ``kill -9`` closes it.
    """
    reader, writer = os.pipe()
    guard = subprocess.Popen(
        ["/bin/sh", "-c", f'read word; [ -n "$word" ] || kill -{int(number)} {int(pid)} 2>/dev/null; exit 0'],
        stdin=reader,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(reader)
    _remember(guard)

    def let_go() -> None:
        with contextlib.suppress(OSError):
            os.write(writer, b"released\n")
            os.close(writer)
        guard.wait(timeout=5)

    return let_go


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on at the moment, and that no outgoing connection is given by the system: a
    program that is killed finds its port again. Raises StartFailed when none was found."""
    for _ in range(PORT_TRIES):
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise StartFailed("no free port")


def refuse_taken(port: int, host: str = "127.0.0.1") -> None:
    """Raise StartFailed when somebody listens on the port: a client would take them for ours."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((host, port)) == 0:
            raise StartFailed(f"port {port} is taken by another program")


def tail_of(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


async def until(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool],
    *,
    seconds: float,
    every: float = POLL_SECONDS,
) -> bool:
    """Await a condition; False when it did not come true in time."""
    deadline = time.monotonic() + seconds
    while True:
        outcome = condition()
        if outcome is True or (not isinstance(outcome, bool) and await outcome):
            return True
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(every)


async def end(running: Running, *, number: int = signal.SIGTERM, grace: float = 10.0) -> bool:
    """Signal a process, wait, then SIGKILL; True when the polite signal was enough."""
    if not running.signal(number):
        return True
    if await until(lambda: not running.alive(), seconds=grace):
        return True
    running.signal(signal.SIGKILL)
    await until(lambda: not running.alive(), seconds=5)
    return False


def python() -> str:
    """The interpreter services are started with: the one we run on."""
    return sys.executable
