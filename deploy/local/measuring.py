"""What a system takes: resident memory and CPU seconds per process, disk per database, WAL and broker.

Looked at from outside, every two seconds by the supervisor and once more by whoever writes a report. A process
that is killed loses the CPU of its last two seconds at most.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from deploy.local.layout import Layout, ProgramState, read_state
from deploy.local.postgres import PostgresServer, Server, server_for
from deploy.local.processes import Family, Running

MIB = 1 << 20
BLOCK = 512
"""Bytes of a block as the kernel counts them: preallocated, empty files take none."""

WAL, OTHER = "wal", "other"
TOGETHER = "services_together"
"""The most the four services had resident at one moment."""


class Meter:
    """Memory and CPU of one program over all its processes, those of earlier starts included.

    before: what was last written of it. A process that is the same goes on being counted, one that ended is
    added once.
    """

    def __init__(self, before: ProgramState | None = None) -> None:
        self.peak_bytes = 0
        self.resident_bytes = 0
        self._ended = 0.0
        self._pid = 0
        self._now = 0.0
        if before is not None:
            self.peak_bytes = round(before.peak_mib * MIB)
            self._ended = before.cpu_before
            self._pid = before.pid
            self._now = max(0.0, before.cpu_seconds - before.cpu_before)

    def read(self, running: Running | None, family: Family | None = None) -> None:
        """Look at the process; None: it is down, and what it used stays."""
        self.resident_bytes = 0
        if running is None:
            return
        usage = running.usage(family)
        if running.pid != self._pid:
            self._ended += self._now
            self._pid, self._now = running.pid, 0.0
        self._now = max(self._now, usage.cpu_seconds)
        self.resident_bytes = usage.resident_bytes
        self.peak_bytes = max(self.peak_bytes, usage.resident_bytes)

    def state(self, *, pid: int, port: int, running: bool, restarts: int) -> ProgramState:
        """As the supervisor writes it."""
        return ProgramState(
            pid=pid,
            port=port,
            running=running,
            restarts=restarts,
            peak_mib=round(self.peak_bytes / MIB, 1),
            cpu_seconds=round(self._ended + self._now, 2),
            cpu_before=round(self._ended, 2),
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """peak_mib, cpu_seconds: per program, and ``services_together``. disk_mib: the whole of the data directory.

    disk_mib_parts: databases by name, ``wal``, the folders of programs and logs, and ``other``.
    """

    peak_mib: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    disk_mib: float = 0.0
    disk_mib_parts: dict[str, float] = field(default_factory=dict)


async def measure(data: Path) -> Measured:
    """What the system of a data directory took so far. Works on a system that is down, without databases then."""
    layout = Layout(data)
    server = server_for(layout.data)
    folders = await asyncio.to_thread(_folders, layout.data, server)
    databases = await _databases(server)
    parts = dict(databases)
    total = sum(folders.values())
    if isinstance(server, PostgresServer):
        parts[OTHER] = max(0.0, folders.pop("postgres", 0.0) - sum(databases.values()))
    else:
        total += sum(databases.values())
    for name, mib in folders.items():
        parts[name] = parts.get(name, 0.0) + mib
    state = read_state(layout)
    programs = state.programs if state is not None else {}
    peaks = {name: each.peak_mib for name, each in programs.items()}
    if state is not None and state.services_peak_mib:
        peaks[TOGETHER] = state.services_peak_mib
    return Measured(
        peaks,
        {name: each.cpu_seconds for name, each in programs.items()},
        round(total, 1),
        {name: round(mib, 1) for name, mib in sorted(parts.items()) if mib >= 0.05},
    )


async def _databases(server: Server) -> dict[str, float]:
    """MiB per database of this system and of the write-ahead log; nothing when the server does not answer."""
    try:
        connection = await asyncpg.connect(server.url(), timeout=10)
    except (OSError, asyncpg.PostgresError):
        return {}
    try:
        rows = await connection.fetch(
            "SELECT datname AS name, pg_database_size(oid) AS bytes FROM pg_database"
            " WHERE NOT datistemplate AND datname <> 'postgres'"
            " UNION ALL SELECT $1, COALESCE(SUM(size), 0)::bigint FROM pg_ls_waldir()",
            WAL,
        )
    except asyncpg.InsufficientPrivilegeError:  # a server of somebody else's
        return {}
    finally:
        await connection.close()
    return {str(row["name"]): int(row["bytes"]) / MIB for row in rows}


def _folders(data: Path, server: Server) -> dict[str, float]:
    """MiB per folder of the data directory; the cluster as ``postgres`` wherever it lies."""
    found: dict[str, float] = {}
    for entry in data.iterdir() if data.is_dir() else ():
        name = entry.name if entry.is_dir() else OTHER
        found[name] = found.get(name, 0.0) + size_of(entry) / MIB
    if isinstance(server, PostgresServer) and not server.cluster.is_relative_to(data):
        found["postgres"] = found.get("postgres", 0.0) + size_of(server.cluster.parent) / MIB
    return found


def size_of(path: Path) -> int:
    """Bytes on disk of a file, or of everything below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_blocks * BLOCK
            except OSError:  # gone since it was listed
                continue
    if path.is_file():
        total += path.lstat().st_blocks * BLOCK
    return total
