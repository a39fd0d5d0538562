"""Base backups, and a restore to a point in time: of the whole installation, or of one service's database.

What lies behind the point is gone from the restored logs, not from those who heard of it. So a restore of one
service that would forget what others were told is refused unless it is said to be meant (ADR 0033).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from deploy.local import maintenance
from deploy.local.archive import Archive, Base, Timeline, chosen, newest_timeline
from deploy.local.control import supervisor_of
from deploy.local.databases import MAINTENANCE, literal, quoted
from deploy.local.layout import SERVICES, Layout
from deploy.local.postgres import PostgresServer
from deploy.local.processes import StartFailed, until, write_atomically
from deploy.local.provisioning import owner_of
from deploy.local.replacing import aside, beside, discard_aside, replace, settle
from shared.messaging.address import MAIN
from shared.messaging.epoch import UnknownLogError
from shared.messaging.relay import CURSOR

RECOVERY_SECONDS = 3600.0
BEHIND = "recovery ended before configured recovery target was reached"
"""What the server's log says of a moment that no commit in the archive lies behind."""
DROPPING = -2
"""``datconnlimit`` of a database whose dropping has begun: it is lost, though its row is there."""
_HEARD = """
SELECT max(source_position) FROM platform.watermarks
WHERE source_log = {log} AND epoch = (SELECT max(epoch) FROM platform.watermarks WHERE source_log = {log})
"""
_FAILING = """
SELECT last_failed_wal FROM pg_stat_archiver
WHERE last_failed_time > coalesce(last_archived_time, '-infinity'::timestamptz)
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
    await _refuse_unarchived(server)
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

    The system must be down. The cluster is recovered beside the one that is there and takes its place at the very
    end: what fails or is cut off, however, changes nothing, and leaves nothing in the archive. Raises
    NotRestoredError, StartFailed.
    """
    archive, base, timeline = await _source(data, at)
    server = beside(data)
    try:
        await _in_thread(
            server.take_over,
            archive.base(base.name),
            _unarchived(PostgresServer(data), archive),
            _recovery(archive, at, timeline),
        )
        async with _running(server):
            _refuse_short(server, archive, at, timeline)
            epochs = {name: await _begin_epoch(data, name) for name in SERVICES}
        kept = await replace(data)
    finally:
        await settle(data)
    return Restored(base.name, at, SERVICES, epochs, {}, str(kept or ""))


async def restore_one(
    data: Path, service: str, at: dt.datetime | None = None, *, accept_loss: bool = False
) -> Restored:
    """One service's database as it was; everybody else's stays as it is.

    The cluster recovers beside the installation's own; the database is copied from there. Raises ForgottenError
    before anything was changed; NotRestoredError, StartFailed.
    """
    archive, base, timeline = await _source(data, at)
    server, recovered = PostgresServer(data), aside(data)
    write_atomically(
        recovered.directory / "postgres.password",
        (data / "postgres.password").read_text(encoding="ascii"),
        0o600,
    )
    recovery = _recovery(archive, at, timeline) | {
        name: value for name, value in archive.settings().items() if not name.startswith("archive_")
    }
    try:
        await _in_thread(recovered.take_over, archive.base(base.name), _unarchived(server, archive), recovery)
        async with _running(server), _running(recovered):
            _refuse_short(recovered, archive, at, timeline)
            if not await _exists(recovered, service):
                raise NotRestoredError(
                    f"那一刻没有此库 / there was no database {service} at that moment: --at"
                )
            lost = await _told_beyond(server, service, await _head(recovered, service))
            if lost and not accept_loss:
                raise ForgottenError(service, lost)
            kept, epoch = await _exchange(server, recovered, service, data)
    finally:
        await discard_aside(data)
    return Restored(base.name, at, (service,), {service: epoch}, lost, kept)


async def _refuse_damaged(archive: Archive, name: str) -> None:
    damaged = await asyncio.to_thread(archive.damaged, name)
    if damaged:
        raise NotRestoredError(f"基础备份 {name} 已损坏 / is damaged: {', '.join(damaged[:5])}")


async def _refuse_damaged_wal(
    archive: Archive, name: str, timeline: Timeline, at: dt.datetime | None
) -> None:
    damaged = await asyncio.to_thread(archive.damaged_wal, name, timeline, at)
    if damaged:
        raise NotRestoredError(
            f"归档的 WAL 已损坏 / archived WAL is damaged: {', '.join(damaged[:5])} in {archive.wal}; put it back, or "
            "restore --at a moment before"
        )


async def _refuse_unarchived(server: PostgresServer) -> None:
    """A base backup is worth nothing without the WAL behind it."""
    if await _asked(server, MAINTENANCE, "SHOW archive_mode") != "on":
        raise NotRestoredError(
            "服务器启动时未选归档 / the server was started without its archive: `liangxian down`, then `up`"
        )
    failing = await _asked(server, MAINTENANCE, _FAILING)
    if failing:
        raise NotRestoredError(
            f"WAL 未能归档 / WAL is not archived ({failing}): is there room in {server.archive and server.archive.wal},"
            f" may PostgreSQL write there? See {server.log}"
        )


def _refuse_short(
    server: PostgresServer, archive: Archive, at: dt.datetime | None, timeline: Timeline
) -> None:
    """PostgreSQL takes a segment it does not get for the end of the archive: is it?"""
    missed = archive.missed(timeline, newest_timeline(server.cluster / "pg_wal")) if at is None else ""
    if missed:
        raise NotRestoredError(
            f"恢复未到归档末尾 / the recovery ended before the end of the archive, {missed}: WAL is missing or "
            f"damaged in {archive.wal}; put it back, or restore --at a moment before"
        )


async def _begin_epoch(data: Path, service: str, name: str = "") -> int:
    try:
        return await maintenance.begin_epoch(data, service, name)
    except (UnknownLogError, asyncpg.UndefinedTableError, asyncpg.InvalidCatalogNameError):
        raise NotRestoredError(
            f"那一刻 {service} 尚未启动 / {service} had never started at that moment: --at"
        ) from None


async def _in_thread(work: Callable[..., None], *given: object) -> None:
    """A thread goes on when we are cancelled: it is waited for, so that nobody removes what it still writes."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *given))
    try:
        await asyncio.shield(working)
    finally:
        await asyncio.wait([working])


async def _source(data: Path, at: dt.datetime | None) -> tuple[Archive, Base, Timeline]:
    """From what to restore, all of it looked at before anything is touched."""
    if supervisor_of(Layout(data)) is not None or PostgresServer(data).running() is not None:
        raise NotRestoredError("先停止系统 / stop the system first: `liangxian down`")
    archive = chosen(data)
    if archive is None:
        raise NotRestoredError("没有归档 / no archive was chosen for this data directory")
    await settle(data)
    timeline = newest_timeline(PostgresServer(data).cluster / "pg_wal", archive.wal)
    base = archive.base_for(at, timeline)
    if base is None:
        raise NotRestoredError("没有早于此刻的基础备份 / no base backup is old enough for that moment")
    await _refuse_damaged(archive, base.name)
    await _refuse_damaged_wal(archive, base.name, timeline, at)
    return archive, base, timeline


def _recovery(archive: Archive, at: dt.datetime | None, timeline: Timeline) -> dict[str, str]:
    """How the server recovers: to the end of the WAL, or to the last commit not behind a moment."""
    return {
        "restore_command": archive.restore_command(),
        "recovery_target_action": "promote",
        "recovery_target_time": "" if at is None else at.astimezone(dt.UTC).isoformat(),
        "recovery_target_timeline": str(timeline.number),
    }


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
    said = server.log.stat().st_size if server.log.exists() else 0
    try:
        await _recover(server, said)
        yield
    finally:
        await server.stop()


async def _recover(server: PostgresServer, said: int) -> None:
    """said: bytes of the log that are older."""
    try:
        await server.start()
        if not await until(lambda: _recovered(server), seconds=RECOVERY_SECONDS, every=0.1):
            raise StartFailed(f"PostgreSQL 未完成恢复 / does not come to its end; see {server.log}")
    except StartFailed as fault:
        if BEHIND.encode() in server.log.read_bytes()[said:]:
            raise NotRestoredError(
                "此刻晚于归档中的最后一次提交 / no commit in the archive lies behind that moment: leave --at out"
            ) from fault
        raise


async def _recovered(server: PostgresServer) -> bool:
    if server.running() is None:
        raise StartFailed(f"PostgreSQL 恢复中终止 / ended while it recovered; see {server.log}")
    try:
        return not await _asked(server, MAINTENANCE, "SELECT pg_is_in_recovery()")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _exchange(
    server: PostgresServer, recovered: PostgresServer, service: str, data: Path
) -> tuple[str, int]:
    """The recovered database in the other's place, which keeps its data under another name; the new epoch.

    It is whole under a name of its own before both change theirs at once: what is interrupted can be repeated.
    """
    stamp = f"{await _now(server):%Y%m%d%H%M%S}"
    kept, dump = f"{service}_before_{stamp}", recovered.directory / f"{service}.dump"
    unfinished = f"{service}_restored"
    await _tool(recovered, "pg_dump", "--format=custom", "--compress=none", f"--file={dump}", service)
    exists = await _asked(
        server, MAINTENANCE, f"SELECT 1 FROM pg_database WHERE datname = {literal(service)}"
    )
    await server.drop_database(unfinished)
    await server.create_database(unfinished, owner=owner_of(service))
    await _tool(server, "pg_restore", "--exit-on-error", f"--dbname={unfinished}", str(dump))
    epoch = await _begin_epoch(data, service, unfinished)
    renames = [(service, kept)] if exists else []
    await _do(
        server,
        *(
            f"ALTER DATABASE {quoted(old)} RENAME TO {quoted(new)}"
            for old, new in [*renames, (unfinished, service)]
        ),
    )
    return (kept if exists else ""), epoch


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


async def _do(server: PostgresServer, *statements: str) -> None:
    """All or none of them."""
    connection = await asyncpg.connect(server.url(), timeout=30)
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    finally:
        await connection.close()


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
