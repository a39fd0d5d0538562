"""Base backups, WAL archive and restores of an installation's server, without the services (ADR 0033)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.__main__ import app
from deploy.cli.output import Exit
from deploy.local import maintenance, restoring
from deploy.local.archive import Archive, Base, Timeline, choose, chosen, newest_timeline
from deploy.local.layout import SERVICES, Layout
from deploy.local.postgres import PostgresServer
from deploy.local.processes import StartFailed, leash, python, until
from deploy.local.provisioning import provision
from deploy.local.replacing import ASIDE, _take_place, settle
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
    later = await restoring.back_up(site.data)  # with what this restore was told in its settings
    await site.mark("collection", 6)
    await site.stop()

    assert (await restoring.restore_all(site.data)).base == later.name
    await site.start()
    assert await site.marks() == {"collection": 6, "registration": 2}
    assert await site.identify("collection") == 3


async def test_a_backup_of_what_was_taken_back_is_passed_over(installation: Installation) -> None:
    """It is the newest, and of a history that a restore abandoned: the one before it leads to the end."""
    site = installation
    base = await restoring.back_up(site.data)
    moment = await site.mark("collection", 3)
    await site.mark("collection", 4)
    await restoring.back_up(site.data)
    await site.stop()
    await restoring.restore_all(site.data, moment)
    await site.start()
    await site.mark("registration", 6)
    await site.stop()

    assert (await restoring.restore_all(site.data)).base == base.name
    await site.start()
    assert await site.marks() == {"collection": 3, "registration": 6}


async def test_a_restore_that_fails_leaves_everything_as_it_was(installation: Installation) -> None:
    """WAL that cannot be read or is not WAL is not taken for the end of the archive, nor a moment nobody reached
    for one; the installation goes on, and none of the tries is in the archive."""
    site = installation
    await restoring.back_up(site.data)
    await site.mark("collection", 1)
    name = await site.ask("postgres", "SELECT pg_walfile_name(pg_switch_wal())")
    moment = await site.mark("collection", 2)
    await site.stop()
    victim = Archive(site.archive).wal / str(name)
    whole, mode = victim.read_bytes(), victim.stat().st_mode

    sums = victim.with_name(f"{name}.sha256")
    told = sums.read_bytes()
    victim.chmod(0)
    sums.unlink()  # as an earlier version archived it: the recovery has to notice
    with pytest.raises(StartFailed):
        await restoring.restore_all(site.data)
    victim.chmod(mode)
    victim.write_bytes(bytes(len(whole)))
    with pytest.raises(NotRestoredError, match="end of the archive"):
        await restoring.restore_all(site.data)
    victim.write_bytes(whole)
    sums.write_bytes(told)
    with pytest.raises(NotRestoredError, match="no commit"):
        await restoring.restore_all(site.data, moment + dt.timedelta(hours=1))

    assert not list(Archive(site.archive).wal.glob("*.history*"))
    assert [place.name for place in site.server.cluster.parent.glob("cluster*")] == ["cluster"]
    await site.start()
    assert (await site.marks())["collection"] == 2
    assert await site.identify("collection") == 1


async def test_damage_in_the_newest_segment_is_told_before_anything_changes(
    installation: Installation,
) -> None:
    """A recovery would take the damaged record for the end of the log, and nothing archived lies behind it. A moment
    before does not need it."""
    site = installation
    await restoring.back_up(site.data)
    await site.mark("collection", 1)
    moment = await site.mark("collection", 2)

    async def later() -> bool:
        return bool(await site.ask("postgres", "SELECT clock_timestamp() > $1::timestamptz + '1 s'", moment))

    assert await until(later, seconds=10)  # what is archived is noted to the second
    await site.ask("postgres", "SELECT pg_switch_wal()")
    await site.mark("collection", 3)
    name = str(await site.ask("postgres", "SELECT pg_walfile_name(pg_switch_wal())"))
    await site.stop()
    victim = Archive(site.archive).wal / name
    for later in victim.parent.glob("*"):
        if later.name[:24] > name:
            later.unlink()
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)

    for restore in (restoring.restore_all(site.data), restoring.restore_one(site.data, "collection")):
        with pytest.raises(NotRestoredError, match=f"{name} in"):
            await restore
    assert [place.name for place in site.server.cluster.parent.glob("cluster*")] == ["cluster"]
    await restoring.restore_all(site.data, moment)
    await site.start()
    assert (await site.marks())["collection"] == 2


async def test_a_restore_that_is_cut_off_changes_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while files are copied, or while it recovers: the cluster that was there is there, nothing else."""
    site = installation
    await restoring.back_up(site.data)
    await site.mark("collection", 1)
    await site.stop()
    reached, take_over = asyncio.Event(), PostgresServer.take_over
    loop = asyncio.get_running_loop()

    def copying(*given: Any) -> None:
        loop.call_soon_threadsafe(reached.set)
        take_over(*given)

    async def recovering(*_: object) -> int:
        reached.set()
        await asyncio.Event().wait()
        return 0

    for where, meanwhile in ((PostgresServer, copying), (maintenance, recovering)):
        reached.clear()
        with monkeypatch.context() as patch:
            patch.setattr(where, "take_over" if where is PostgresServer else "begin_epoch", meanwhile)
            restore = asyncio.ensure_future(restoring.restore_all(site.data))
            await asyncio.wait_for(reached.wait(), 120)
            restore.cancel()
            with pytest.raises(asyncio.CancelledError):
                await restore
        assert [place.name for place in site.server.cluster.parent.glob("cluster*")] == ["cluster"]
        assert not list(Archive(site.archive).wal.glob("*.history"))
    await site.start()
    assert (await site.marks())["collection"] == 1
    assert await site.identify("collection") == 1


RESTORE = """
import asyncio, os, signal, sys
from pathlib import Path
from deploy.local import replacing, restoring
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
setattr({module}, "{step}", die)
asyncio.run(restoring.restore_all(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("module", "step", "whole"),
    [("restoring", "_refuse_short", False), ("restoring", "replace", False), ("replacing", "settle", True)],
)
async def test_a_restore_that_is_killed_is_ended_or_removed_by_the_next_start(
    installation: Installation, module: str, step: str, whole: bool
) -> None:
    """``kill -9`` while it recovers, its server running on, and before it is whole: removed. Behind that: it takes
    its place, and what was there is kept."""
    site = installation
    await restoring.back_up(site.data)
    await site.mark("collection", 1)
    await site.stop()
    script = RESTORE.format(module=module, step=step)
    killed = await asyncio.create_subprocess_exec(python(), "-c", script, str(site.data))
    assert await asyncio.wait_for(killed.wait(), 120) == -signal.SIGKILL

    await settle(site.data)
    places = sorted(place.name for place in site.server.cluster.parent.glob("cluster*"))
    assert places == (["cluster", "cluster.before-1"] if whole else ["cluster"])
    await site.start()
    assert (await site.marks())["collection"] == 1
    assert await site.identify("collection") == (2 if whole else 1)


def test_between_its_two_renames_a_replacement_is_known(tmp_path: Path) -> None:
    """The old cluster has left its place, the new one is not there yet: no empty one is made instead."""
    new, cluster, kept, note = (tmp_path / name for name in ("new", "cluster", "before", "note"))
    new.mkdir()
    kept.mkdir()
    note.write_text(json.dumps({"kept": str(kept)}))
    for _ in range(2):
        _take_place(new, cluster, note)
        assert sorted(place.name for place in tmp_path.iterdir()) == ["before", "cluster"]


async def test_no_backup_without_its_wal(installation: Installation) -> None:
    """The archive takes nothing any more: a base backup would be worth nothing."""
    site = installation
    wal = Archive(site.archive).wal
    wal.chmod(0o500)
    await site.mark("collection", 1)
    await site.ask("postgres", "SELECT pg_switch_wal()")

    async def failed() -> bool:
        return bool(await site.ask("postgres", "SELECT failed_count > 0 FROM pg_stat_archiver"))

    try:
        assert await until(failed, seconds=60)
        with pytest.raises(NotRestoredError, match="is not archived"):
            await restoring.back_up(site.data)
    finally:
        wal.chmod(0o700)


async def test_an_archive_is_not_chosen_under_a_running_server(tmp_path: Path) -> None:
    """What a killed supervisor left runs without it: neither ``up --archive`` nor a backup pretends."""
    server = PostgresServer(tmp_path / "data")
    await server.start()
    try:
        folder = server.cluster.parent / "archive"
        command = ["up", "--data", str(tmp_path / "data"), "--archive", str(folder)]
        answer = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert answer.exit_code == Exit.USAGE, answer.output
        assert chosen(tmp_path / "data") is None
        choose(tmp_path / "data", folder)
        with pytest.raises(NotRestoredError, match="without its archive"):
            await restoring.back_up(tmp_path / "data")
    finally:
        await server.stop()
        server.destroy()


async def test_one_lost_database_comes_back_beside_the_others(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped by mistake, restored to the moment before: another's later facts stay; roles and rights are as they
    were. At the end of the archive it is dropped too: that is refused. What was interrupted is repeated."""
    site = installation
    await restoring.back_up(site.data)
    moment = await site.mark("collection", 3)
    await site.mark("registration", 3)
    await site.server.drop_database("collection")
    await site.mark("registration", 4)
    await site.stop()

    with pytest.raises(NotRestoredError, match="no database collection"):
        await restoring.restore_one(site.data, "collection")
    begin_epoch = maintenance.begin_epoch
    monkeypatch.setattr(maintenance, "begin_epoch", AsyncMock(side_effect=ConnectionError))
    with pytest.raises(ConnectionError):
        await restoring.restore_one(site.data, "collection", moment)
    monkeypatch.setattr(maintenance, "begin_epoch", begin_epoch)
    done = await restoring.restore_one(site.data, "collection", moment)
    assert (done.services, done.lost, done.kept) == (("collection",), {}, "")
    await site.start()
    assert await site.marks() == {"collection": 3, "registration": 4}
    assert await site.identify("collection") == 2
    owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'platform' AND tablename = 'checkpoints'"
    assert await site.ask("collection", owner) == "collection_owner"
    assert not (site.data / ASIDE).exists()
    assert not await site.ask(
        "postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'collection_%'"
    )


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
    site.server.cluster.rename(site.server.cluster.with_name("old"))
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


def test_a_recovery_reaches_the_newest_segment_of_its_timeline(tmp_path: Path) -> None:
    """Its end lies in that segment or behind it; a timeline of which nothing was found is missed whole."""
    archive = Archive(tmp_path / "archive")
    archive.prepare(None)
    first, newest = f"{1:08X}{0:08X}{2:08X}", f"{1:08X}{0:08X}{3:08X}"
    for name in (first, newest, f"{newest}.00000028.backup"):
        (archive.wal / name).touch()
    segment = 16 << 20
    assert not archive.missed(Timeline(), Timeline(2, {1: 4 * segment}))
    assert not archive.missed(Timeline(), Timeline(2, {1: 3 * segment + 8}))
    assert archive.missed(Timeline(), Timeline(2, {1: 3 * segment})) == newest
    (archive.wal / "00000002.history").write_text("1\t0/3000028\tbefore a moment\n")
    second = newest_timeline(archive.wal)
    assert second == Timeline(2, {1: 0x3000028})
    assert second.has(1, 0x3000028)
    assert not second.has(1, 0x3000029)
    assert archive.missed(second, Timeline(3, {1: 4 * segment})) == "00000002.history"


def test_a_folder_that_was_there_keeps_its_rights(tmp_path: Path) -> None:
    """Somebody else may read it on purpose."""
    (tmp_path / "archive").mkdir(mode=0o755)
    Archive(tmp_path / "archive").prepare(None)
    assert (tmp_path / "archive").stat().st_mode & 0o777 == 0o755


def test_only_one_service_may_forget(tmp_path: Path) -> None:
    """All four go back together: there is nothing to accept."""
    answer = CliRunner().invoke(app, ["restore", "--accept-loss", "--data", str(tmp_path)])
    assert answer.exit_code == Exit.USAGE
    assert "--service" in answer.output


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
