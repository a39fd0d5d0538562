"""Base backups, WAL archive and restores of an installation's server, without the services (ADR 0033)."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.__main__ import app
from deploy.cli.output import Exit
from deploy.local import restoring
from deploy.local.archive import Archive, Base, choose, chosen
from deploy.local.layout import SERVICES, Layout
from deploy.local.postgres import PostgresServer
from deploy.local.processes import StartFailed, leash, until
from deploy.local.provisioning import provision
from deploy.local.restoring import ForgottenError, NotRestoredError
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.messaging.epoch import EpochNotRaisedError, open_identity

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(900)]

INSERT = """
INSERT INTO platform.checkpoints (name, position, step) VALUES ('relay', $1, 0)
ON CONFLICT (name) DO UPDATE SET position = $1
"""
HEARD = """
INSERT INTO platform.watermarks (grp, topic, part, source_log, epoch, source_position, source_index)
VALUES ('registration', 't', 0, 'collection/main', 1, $1, 0)
"""


class Installation:
    """A server with the four services' logs, archived; nobody runs on it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.server = PostgresServer(data)
        self.archive = self.server.cluster.parent / "archive"

    async def make(self) -> None:
        """Four empty logs that have started once; the server runs."""
        choose(self.data, self.archive)
        await self.start()
        addresses = await provision(self.server, Layout(self.data).databases)
        for name in SERVICES:
            await migrate(addresses[name]["migrate"])
            await self.identify(name)

    async def start(self) -> None:
        await self.server.start()
        running = self.server.running()
        assert running is not None
        self.let_go = leash(running.pid)

        async def recovered() -> bool:
            return not await self.ask("postgres", "SELECT pg_is_in_recovery()")

        assert await until(recovered, seconds=60)

    async def stop(self) -> None:
        await self.server.stop()
        self.let_go()

    async def identify(self, service: str) -> int:
        """What a service does first: its log's epoch, or EpochNotRaisedError."""
        database = PostgresDatabase(self.server.url(service))
        try:
            return (await open_identity(database, service)).epoch
        finally:
            await database.close()

    async def ask(self, service: str, query: str, *values: object) -> object:
        connection = await asyncpg.connect(self.server.url(service))
        try:
            return await connection.fetchval(query, *values)
        finally:
            await connection.close()

    async def mark(self, service: str, position: int) -> dt.datetime:
        """Write a number that can be found again; the moment behind it."""
        await self.ask(service, INSERT, position)
        moment = await self.ask(service, "SELECT clock_timestamp()")
        assert isinstance(moment, dt.datetime)
        return moment

    async def marks(self) -> dict[str, object]:
        return {
            name: await self.ask(name, "SELECT position FROM platform.checkpoints WHERE name = 'relay'")
            for name in ("collection", "registration")
        }


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    made = Installation(tmp_path / "data")
    await made.make()
    yield made
    await made.server.stop()
    made.let_go()
    made.server.destroy()


async def test_everything_goes_back_to_one_moment_and_on_from_there(installation: Installation) -> None:
    """Two databases, written before and behind a moment: both are as they were; each log has a new epoch; what is
    written then survives a second restore, to the end of the archive."""
    site = installation
    await site.mark("collection", 1)
    base = await restoring.back_up(site.data)
    await site.mark("registration", 2)
    moment = await site.mark("collection", 3)
    await site.mark("registration", 4)
    await site.mark("collection", 5)
    await site.stop()

    done = await restoring.restore_all(site.data, moment)
    assert (done.base, done.epochs) == (base.name, dict.fromkeys(SERVICES, 2))
    assert done.kept.endswith("cluster.before-1")
    await site.start()
    assert await site.marks() == {"collection": 3, "registration": 2}
    assert await site.identify("collection") == 2
    await site.mark("collection", 6)
    await site.stop()

    await restoring.restore_all(site.data)
    await site.start()
    assert await site.marks() == {"collection": 6, "registration": 2}
    assert await site.identify("collection") == 3


async def test_one_lost_database_comes_back_beside_the_others(installation: Installation) -> None:
    """Dropped by mistake, restored to the moment before: another's later facts stay; roles and rights are as they
    were. At the end of the archive it is dropped too: that is refused."""
    site = installation
    await restoring.back_up(site.data)
    moment = await site.mark("collection", 3)
    await site.mark("registration", 3)
    await site.server.drop_database("collection")
    await site.mark("registration", 4)
    await site.stop()

    with pytest.raises(NotRestoredError, match="no database collection"):
        await restoring.restore_one(site.data, "collection")
    done = await restoring.restore_one(site.data, "collection", moment)
    assert (done.services, done.lost, done.kept) == (("collection",), {}, "")
    await site.start()
    assert await site.marks() == {"collection": 3, "registration": 4}
    assert await site.identify("collection") == 2
    owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'platform' AND tablename = 'checkpoints'"
    assert await site.ask("collection", owner) == "collection_owner"
    assert not (site.data / restoring.ASIDE).exists()


async def test_what_others_were_told_is_not_forgotten_unless_it_is_meant(installation: Installation) -> None:
    """Registration heard position 9 of collection, whose restored log ends at 0, and 7 were published."""
    site = installation
    await restoring.back_up(site.data)
    moment = await site.mark("collection", 0)
    await site.mark("collection", 7)
    await site.ask("registration", HEARD, 9)
    await site.stop()

    with pytest.raises(ForgottenError) as refused:
        await restoring.restore_one(site.data, "collection", moment)
    assert refused.value.told == {"registration": 9, "broker": 7}
    await site.start()
    assert (await site.marks())["collection"] == 7
    assert await site.identify("collection") == 1
    await site.stop()

    done = await restoring.restore_one(site.data, "collection", moment, accept_loss=True)
    assert done.lost == {"registration": 9, "broker": 7}
    await site.start()
    assert (await site.marks())["collection"] == 0
    assert await site.ask(done.kept, "SELECT position FROM platform.checkpoints WHERE name = 'relay'") == 7


async def test_a_service_does_not_start_on_a_restore_by_hand(installation: Installation) -> None:
    """Files put back without the command: the timeline tells, the epoch was not raised (ADR 0032)."""
    site = installation
    base = await restoring.back_up(site.data)
    await site.mark("collection", 1)
    await site.stop()
    archive = Archive(site.archive)
    recovery = {"restore_command": archive.restore_command(), "recovery_target_action": "promote"}
    site.server.take_over(archive.base(base.name), [], recovery)
    await site.start()
    with pytest.raises(EpochNotRaisedError):
        await site.identify("collection")


async def test_a_damaged_backup_is_refused_before_anything_changes(installation: Installation) -> None:
    """A byte of the base backup is another: the manifest tells, the installation stays as it is."""
    site = installation
    base = await restoring.back_up(site.data)
    await site.mark("collection", 1)
    await site.stop()
    victim = Archive(site.archive).base(base.name) / "global" / "pg_control"
    content = bytearray(victim.read_bytes())
    content[100] ^= 1
    victim.write_bytes(content)
    with pytest.raises(NotRestoredError, match="pg_control"):
        await restoring.restore_all(site.data)
    await site.start()
    assert (await site.marks())["collection"] == 1


async def test_a_running_system_is_not_restored(installation: Installation) -> None:
    """Nor is a moment that no base backup reaches."""
    site = installation
    with pytest.raises(NotRestoredError, match="liangxian down"):
        await restoring.restore_all(site.data)
    base = await restoring.back_up(site.data)
    await site.stop()
    with pytest.raises(NotRestoredError, match="no base backup"):
        await restoring.restore_all(site.data, base.ended - dt.timedelta(seconds=1))


def test_the_newest_backup_that_reaches_a_moment_is_taken(tmp_path: Path) -> None:
    """Between two backups the first, behind both the second, before both none."""
    archive = Archive(tmp_path)
    archive.prepare(None)
    hours = [dt.datetime(2025, 12, 20, hour, tzinfo=dt.UTC) for hour in (10, 12)]
    first, second = (Base(f"b{number}", at, 1) for number, at in enumerate(hours))
    for base in (second, first):
        archive.note(base)
    hour = dt.timedelta(hours=1)
    assert archive.bases() == [first, second]
    assert archive.base_for(hours[0] + hour) == first
    assert archive.base_for(hours[1] + hour) == second
    assert archive.base_for(None) == second
    assert archive.base_for(hours[0] - hour) is None


def test_without_an_archive_there_is_nothing_to_back_up_or_restore(tmp_path: Path) -> None:
    """Usage, with what to do instead."""
    for command in (["backup"], ["restore"], ["restore", "--service", "collection"]):
        answer = CliRunner().invoke(app, [*command, "--data", str(tmp_path)])
        assert answer.exit_code == Exit.USAGE, answer.output
    assert chosen(tmp_path) is None


def test_a_server_someone_else_runs_is_archived_by_its_own_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We make databases and roles in it and nothing else."""
    monkeypatch.setenv("LIANGXIAN_POSTGRES_URL", "postgresql://nobody@127.0.0.1:1/postgres")
    archive = str(tmp_path / "archive")
    answer = CliRunner().invoke(app, ["up", "--data", str(tmp_path), "--archive", archive])
    assert answer.exit_code == Exit.USAGE, answer.output
    assert chosen(tmp_path) is None


@pytest.mark.parametrize("moment", ["yesterday", "2025-12-20T18:00:00"])
def test_a_moment_needs_its_zone(tmp_path: Path, moment: str) -> None:
    answer = CliRunner().invoke(app, ["restore", "--at", moment, "--data", str(tmp_path)])
    assert answer.exit_code == Exit.USAGE


def test_an_archive_nobody_may_write_to_is_refused(tmp_path: Path) -> None:
    """Under root PostgreSQL is another user, who must get to the folder."""
    server = PostgresServer(tmp_path / "data")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    refuses = pytest.raises(StartFailed, match="archive") if os.geteuid() == 0 else contextlib.nullcontext()
    with refuses:
        server.prepare(Archive(closed / "archive"))
    assert (closed / "archive" / "wal").is_dir()
