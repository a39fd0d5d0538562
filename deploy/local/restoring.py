"""Base backups, and a restore to a point in time: of the whole installation, or of one service's database.

What lies behind the point is gone from the restored logs, not from those who heard of it. So a restore of one
service that would forget what others were told is refused unless it is said to be meant (ADR 0033).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from deploy.local import maintenance
from deploy.local.archive import Archive, Base, chosen
from deploy.local.control import supervisor_of
from deploy.local.databases import MAINTENANCE, literal, quoted
from deploy.local.layout import SERVICES, Layout
from deploy.local.postgres import PostgresServer
from deploy.local.processes import until, write_atomically
from deploy.local.provisioning import owner_of
from shared.messaging.address import MAIN
from shared.messaging.relay import CURSOR

RECOVERY_SECONDS = 3600.0
ASIDE = "restored"
DROPPING = -2
"""``datconnlimit`` of a database whose dropping has begun: it is lost, though its row is there."""
_HEARD = """
SELECT max(source_position) FROM platform.watermarks
WHERE source_log = {log} AND epoch = (SELECT max(epoch) FROM platform.watermarks WHERE source_log = {log})
"""
_PUBLISHED = "SELECT position FROM platform.checkpoints WHERE name = {name}"


class NotRestoredError(Exception):
    """A backup or a restore that cannot be; the message says why."""


class ForgottenError(NotRestoredError):
    """Facts behind the point that other services were told; by who was told, how many at most."""

    def __init__(self, service: str, told: Mapping[str, int]) -> None:
        who = ", ".join(f"{name}: {count}" for name, count in sorted(told.items()))
        super().__init__(
            f"{service} 会忘记其他服务已收到的事实 / {service} would forget facts that others were told ({who}): "
            "restore all services to that moment, or this one to the end of its archive; --accept-loss if it is meant"
        )
        self.told = dict(told)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. lost: facts other services have and the restored one has not; kept: what was there
    before, a directory or a database that may be removed."""

    base: str
    until: dt.datetime | None
    services: tuple[str, ...]
    epochs: dict[str, int]
    lost: dict[str, int]
    kept: str


async def back_up(data: Path) -> Base:
    """A base backup of the running server into its archive. Raises NotRestoredError."""
    server = PostgresServer(data)
    archive = server.archive
    if archive is None:
        raise NotRestoredError("没有归档 / no archive was chosen: start with `liangxian up --archive DIR`")
    if server.running() is None:
        raise NotRestoredError("没有运行 / the system does not run")
    name = f"{await _now(server):%Y%m%dT%H%M%S.%fZ}"
    place = archive.base(name)
    try:
        await _tool(
            server, "pg_basebackup", f"--pgdata={place}", "--checkpoint=fast", "--manifest-checksums=SHA256",
            "--no-password",
        )  # fmt: skip
        await _refuse_damaged(archive, name)
    except NotRestoredError:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        raise
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    base = Base(name, await _now(server), size)
    archive.note(base)
    return base


async def restore_all(data: Path, at: dt.datetime | None = None) -> Restored:
    """The whole installation as it was: four services and the embedded broker at one moment.

    The system must be down. Raises NotRestoredError, StartFailed.
    """
    archive, base = _source(data, at)
    await _refuse_damaged(archive, base.name)
    server = PostgresServer(data)
    kept = await asyncio.to_thread(
        server.take_over, archive.base(base.name), _unarchived(server, archive), _recovery(archive, at)
    )
    async with _running(server):
        epochs = {name: await maintenance.begin_epoch(data, name) for name in SERVICES}
    return Restored(base.name, at, SERVICES, epochs, {}, str(kept or ""))


async def restore_one(
    data: Path, service: str, at: dt.datetime | None = None, *, accept_loss: bool = False
) -> Restored:
    """One service's database as it was; everybody else's stays as it is.

    The cluster recovers beside the installation's own; the database is copied from there. Raises ForgottenError
    before anything was changed; NotRestoredError, StartFailed.
    """
    archive, base = _source(data, at)
    await _refuse_damaged(archive, base.name)
    server, aside = PostgresServer(data), PostgresServer(data / ASIDE)
    await asyncio.to_thread(_discard, aside)
    write_atomically(
        aside.directory / "postgres.password", (data / "postgres.password").read_text(encoding="ascii"), 0o600
    )
    recovery = _recovery(archive, at) | {
        name: value for name, value in archive.settings().items() if not name.startswith("archive_")
    }
    await asyncio.to_thread(aside.take_over, archive.base(base.name), _unarchived(server, archive), recovery)
    try:
        async with _running(server), _running(aside):
            if not await _exists(aside, service):
                raise NotRestoredError(
                    f"那一刻没有此库 / there was no database {service} at that moment: --at"
                )
            lost = await _told_beyond(server, service, await _head(aside, service))
            if lost and not accept_loss:
                raise ForgottenError(service, lost)
            kept = await _exchange(server, aside, service)
            epoch = await maintenance.begin_epoch(data, service)
    finally:
        await asyncio.to_thread(_discard, aside)
    return Restored(base.name, at, (service,), {service: epoch}, lost, kept)


async def _refuse_damaged(archive: Archive, name: str) -> None:
    damaged = await asyncio.to_thread(archive.damaged, name)
    if damaged:
        raise NotRestoredError(f"基础备份 {name} 已损坏 / is damaged: {', '.join(damaged[:5])}")


def _source(data: Path, at: dt.datetime | None) -> tuple[Archive, Base]:
    if supervisor_of(Layout(data)) is not None or PostgresServer(data).running() is not None:
        raise NotRestoredError("先停止系统 / stop the system first: `liangxian down`")
    archive = chosen(data)
    if archive is None:
        raise NotRestoredError("没有归档 / no archive was chosen for this data directory")
    base = archive.base_for(at)
    if base is None:
        raise NotRestoredError("没有早于此刻的基础备份 / no base backup is old enough for that moment")
    return archive, base


def _recovery(archive: Archive, at: dt.datetime | None) -> dict[str, str]:
    """How the server recovers: to the end of the WAL, or to the last commit not behind a moment."""
    recovery = {"restore_command": archive.restore_command(), "recovery_target_action": "promote"}
    if at is not None:
        recovery["recovery_target_time"] = at.astimezone(dt.UTC).isoformat()
    return recovery


def _unarchived(server: PostgresServer, archive: Archive) -> list[Path]:
    """Segments of the server's own that the archive has not: what was written last, if its disk is still there."""
    try:
        own = [file for file in (server.cluster / "pg_wal").iterdir() if file.is_file()]
    except FileNotFoundError:
        return []
    return [file for file in own if not (archive.wal / file.name).exists()]


@asynccontextmanager
async def _running(server: PostgresServer) -> AsyncIterator[None]:
    """The server, recovered to where it shall be and open for writing; stopped afterwards."""
    await server.start()
    try:
        if not await until(lambda: _recovered(server), seconds=RECOVERY_SECONDS, every=0.1):
            raise NotRestoredError(f"PostgreSQL 未完成恢复 / does not come to its end; see {server.log}")
        yield
    finally:
        await server.stop()


async def _recovered(server: PostgresServer) -> bool:
    return not await _asked(server, MAINTENANCE, "SELECT pg_is_in_recovery()")


async def _exchange(server: PostgresServer, aside: PostgresServer, service: str) -> str:
    """The recovered database in the other's place, which keeps its data under another name."""
    stamp = f"{await _now(server):%Y%m%d%H%M%S}"
    kept, dump = f"{service}_before_{stamp}", aside.directory / f"{service}.dump"
    await _tool(aside, "pg_dump", "--format=custom", "--compress=none", f"--file={dump}", service)
    exists = await _asked(
        server, MAINTENANCE, f"SELECT 1 FROM pg_database WHERE datname = {literal(service)}"
    )
    if exists:
        await _do(server, f"ALTER DATABASE {quoted(service)} RENAME TO {quoted(kept)}")
    await server.create_database(service, owner=owner_of(service))
    await _tool(server, "pg_restore", "--exit-on-error", f"--dbname={service}", str(dump))
    return kept if exists else ""


async def _head(server: PostgresServer, service: str) -> int:
    return await _number(server, service, "SELECT max(position) FROM platform.events")


async def _exists(server: PostgresServer, database: str) -> bool:
    query = (
        f"SELECT count(*) FROM pg_database WHERE datname = {literal(database)} AND datconnlimit <> {DROPPING}"
    )
    return await _number(server, MAINTENANCE, query) > 0


async def _number(server: PostgresServer, database: str, query: str) -> int:
    return int(await _asked(server, database, query) or 0)


async def _told_beyond(server: PostgresServer, service: str, head: int) -> dict[str, int]:
    """By who was told: how far beyond a position of this service's log others have heard it. What they have not
    read yet is told too: the service's own database, if it is still there, knows what it published."""
    heard = {
        name: await _number(server, name, _HEARD.format(log=literal(f"{service}/{MAIN}")))
        for name in SERVICES
        if name != service
    }
    if await _exists(server, service):
        heard["broker"] = await _number(server, service, _PUBLISHED.format(name=literal(CURSOR)))
    return {name: position - head for name, position in heard.items() if position > head}


async def _now(server: PostgresServer) -> dt.datetime:
    now: dt.datetime = await _asked(server, MAINTENANCE, "SELECT clock_timestamp()")
    return now.astimezone(dt.UTC)


async def _asked(server: PostgresServer, database: str, query: str) -> Any:
    connection = await asyncpg.connect(server.url(database), timeout=30)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def _do(server: PostgresServer, statement: str) -> None:
    await _asked(server, MAINTENANCE, statement)


async def _tool(server: PostgresServer, name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on a server; the password goes by the environment."""
    address = urlsplit(server.url())
    environment = {
        **os.environ,
        "PGHOST": address.hostname or "",
        "PGPORT": str(address.port),
        "PGUSER": address.username or "",
        "PGPASSWORD": address.password or "",
    }
    child = await asyncio.create_subprocess_exec(
        server.program(name), *arguments,
        env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await child.communicate()
    if child.returncode != 0:
        raise NotRestoredError(f"{name}: {said.decode(errors='replace')[-1000:]}")


def _discard(aside: PostgresServer) -> None:
    """Nothing is left of a recovery beside."""
    with contextlib.suppress(FileNotFoundError):
        aside.destroy()
        shutil.rmtree(aside.directory)
