"""Backup in mid-campaign, then back to a moment of it: all four services, and one alone (issue 5 §2, ADR 0033)."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from deploy.audit.running import at_rest
from deploy.cli.output import Exit
from deploy.local import control
from deploy.local.postgres import PostgresServer
from deploy.local.processes import leash, python, tail_of, until
from deploy.local.programs import WORLD, organisations_file
from deploy.rehearsal.clients import Services
from tests.conftest import in_own_loop
from tests.faults.system.conftest import Undisturbed, free_port_base
from tests.faults.system.test_kills import TAKEN
from tests.faults.system.test_losses import verify
from tests.faults.system.village import DRIVER, REACHED_SECONDS, RUN_SECONDS, Progress, Village, comparable

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.timeout(1800)]

OUTSIDE = (DRIVER, WORLD)
"""Folders of who is not ours: a rehearsal of a restore puts them back to the same moment by hand."""
STANDS = ("clean", "events", "states", "projections", "gauges", "records_compared", "unaccounted_fen")
Said = tuple[int, str]
"""Exit code and what was said on stderr."""


@dataclass
class ArchivedVillage(Village):
    """A village whose server archives. let_go: it need not end with this process any more."""

    def __post_init__(self) -> None:
        control.keep_private(self.layout)  # where the cluster lies depends on who may get there

    let_go: Callable[[], None] = lambda: None

    @property
    def archive(self) -> Path:
        """Base backups and WAL; PostgreSQL's user must get there, as it must to the cluster."""
        return self.server.cluster.parent / "archive"

    @property
    def server(self) -> PostgresServer:
        """The installation's own."""
        return PostgresServer(self.data)

    async def liangxian(self, *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
        """A command with ``--json``: exit code, what it answered, what it said on stderr."""
        child = await asyncio.create_subprocess_exec(
            python(), "-m", "deploy.cli", *arguments, "--json", "--data", self.data,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, said = await asyncio.wait_for(child.communicate(), 300)
        assert child.returncode is not None
        return child.returncode, msgspec.json.decode(out) if out else {}, said.decode()

    async def up(self) -> None:
        """With its archive."""
        code, _, said = await self.liangxian(
            "up", "--port-base", str(self.port_base), "--archive", self.archive
        )
        assert code == 0, said
        supervisor = control.supervisor_of(self.layout)
        assert supervisor is not None
        self.let_go = leash(supervisor.pid, signal.SIGTERM)

    async def stop(self) -> None:
        """Stop the system; its data stays."""
        await super().stop()
        self.let_go()
        self.let_go = lambda: None

    async def drive_until(self, seen: Callable[[Progress], bool] | None) -> None:
        """Let the campaign go on until something is seen, then cut the driver off; None: to its end."""
        driver = await self.drive()
        try:
            if seen is None:
                assert await asyncio.wait_for(driver.wait(), RUN_SECONDS) == 0, tail_of(self.log, 40)
                return
            progress = Progress(self.data)
            reached = await until(
                lambda: driver.returncode is not None or seen(progress), seconds=REACHED_SECONDS, every=0.05
            )
            assert reached
            assert driver.returncode is None, tail_of(self.log, 40)
        finally:
            if driver.returncode is None:
                driver.kill()
                await driver.wait()

    async def come_to_rest(self) -> None:
        """Nothing moves any more."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            assert await at_rest(Services.on(self.port_base, organisations_file(), http))

    async def moment(self) -> dt.datetime:
        """Now, as the server counts."""
        connection = await asyncpg.connect(self.server.url())
        try:
            now: dt.datetime = await connection.fetchval("SELECT clock_timestamp()")
            return now
        finally:
            await connection.close()

    async def commit(self) -> None:
        """Something is committed, as it is all the time while the system runs."""
        connection = await asyncpg.connect(self.server.url())
        try:
            await connection.execute("SELECT pg_current_xact_id()")
        finally:
            await connection.close()

    def keep_outside(self, there: Path) -> None:
        """Copy the outside's books and the driver's journal; the system is down."""
        for name in OUTSIDE:
            shutil.copytree(self.data / name, there / name)

    def put_outside_back(self, there: Path) -> None:
        """As they were kept."""
        for name in OUTSIDE:
            shutil.rmtree(self.data / name)
            shutil.copytree(there / name, self.data / name)

    async def lose(self, service: str) -> dt.datetime:
        """A service's database is dropped, the server running for this alone; answers the moment before."""
        await self.server.start()
        try:
            before = await self.moment()
            await self.commit()  # a recovery ends before the first commit behind its moment
            await self.server.drop_database(service)
            return before
        finally:
            await self.server.stop()

    async def databases(self) -> set[str]:
        """Names of the server's databases."""
        connection = await asyncpg.connect(self.server.url())
        try:
            return {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
        finally:
            await connection.close()


@dataclass(frozen=True)
class Rehearsed:
    """What was seen at each stage."""

    refused_running: Said
    base: dict[str, Any]
    at_moment: dict[str, Any]
    restored: dict[str, Any]
    back: dict[str, Any]
    before: dict[str, Any]
    refused_forgetting: Said
    unchanged: set[str]
    lost_database: tuple[dict[str, Any], dict[str, Any]]
    report: dict[str, Any]
    audit: dict[str, Any]


async def rehearse(village: ArchivedVillage) -> Rehearsed:
    """One campaign: backed up, put back to a moment; one database lost and restored; then on to its end."""
    await village.up()
    await village.drive_until(lambda seen: seen.books("orders", TAKEN) >= 3)
    code, base, said = await village.liangxian("backup")
    assert code == 0, said
    code, _, said = await village.liangxian("restore")
    refused_running = (code, said)
    await village.drive_until(lambda seen: seen.books("orders", TAKEN) >= 6)
    await village.come_to_rest()
    _, at_moment = await verify(village)
    moment = await village.moment()
    await village.stop()
    village.keep_outside(village.folder / "outside")

    await village.up()
    await village.drive_until(lambda seen: seen.books("slips") >= 8)
    await village.come_to_rest()
    await village.stop()
    code, restored, said = await village.liangxian("restore", "--at", moment.isoformat())
    assert code == 0, said
    village.put_outside_back(village.folder / "outside")
    await village.up()
    _, back = await verify(village)

    await village.drive_until(lambda seen: seen.books("slips") >= 8)
    await village.come_to_rest()
    _, before = await verify(village)
    await village.stop()
    code, _, said = await village.liangxian("restore", "--service", "collection", "--at", moment.isoformat())
    refused_forgetting = (code, said)
    whole = await village.lose("collection")
    lost_database = await restored_one(village, "collection", "--at", whole.isoformat())
    unchanged = await village.databases()
    await village.drive_until(None)
    report, audit = village.document("report.json"), village.document("audit.json")
    return Rehearsed(
        refused_running, base, at_moment, restored, back, before, refused_forgetting, unchanged, lost_database,
        report, audit,
    )  # fmt: skip


async def restored_one(
    village: ArchivedVillage, service: str, *options: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Restore one service, start everything; what the restore answered, what the audit finds."""
    code, done, said = await village.liangxian("restore", "--service", service, *options)
    assert code == 0, said
    await village.up()
    await village.come_to_rest()
    _, found = await verify(village)
    return done, found


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """The small village with an archive."""
    village = ArchivedVillage(tmp_path_factory.mktemp("archived"), free_port_base())

    async def run() -> Rehearsed:
        try:
            return await rehearse(village)
        finally:
            await village.destroy()

    return in_own_loop(run())


def standing(audit: dict[str, Any]) -> dict[str, Any]:
    """What an audit says of a state, whatever it is called and whenever it was asked."""
    return {name: audit[name] for name in STANDS} | {
        "invariants": [(each["id"], each["checked"], each["violations"]) for each in audit["invariants"]]
    }


def test_all_four_are_back_at_one_moment(rehearsed: Rehearsed) -> None:
    """Point-in-time restore of everything: the audit says of it what it said at that moment."""
    assert rehearsed.restored["base"] == rehearsed.base["name"]
    assert set(rehearsed.restored["epochs"].values()) == {2}
    assert standing(rehearsed.back) == standing(rehearsed.at_moment)


def test_a_restore_waits_for_the_system_to_be_down(rehearsed: Rehearsed) -> None:
    """Nobody's data is changed under a running service."""
    code, said = rehearsed.refused_running
    assert code == Exit.USAGE
    assert "liangxian down" in said


def test_one_service_does_not_forget_what_others_were_told(rehearsed: Rehearsed) -> None:
    """Collection alone, back to a moment in mid-campaign: payments others have would be unknown to it."""
    code, said = rehearsed.refused_forgetting
    assert code == Exit.DIFFERENCE
    assert "registration" in said
    assert not [name for name in rehearsed.unchanged if name.startswith("collection_before")]


def test_a_lost_database_comes_back_to_its_last_commit(rehearsed: Rehearsed) -> None:
    """Collection's database is dropped, restored alone to the moment before: the audit says what it said."""
    done, found = rehearsed.lost_database
    assert (done["services"], done["lost"], done["kept"]) == (["collection"], {}, "")
    assert standing(found) == standing(rehearsed.before)


def test_from_there_the_campaign_ends_in_the_same_report(
    undisturbed: Undisturbed, rehearsed: Rehearsed
) -> None:
    """Nothing of the days that were taken back is left, nothing of the days before is lost, by neither restore: a
    new epoch's facts are taken for news by everybody."""
    assert rehearsed.audit["event_types"] == undisturbed.audit["event_types"]
    assert comparable(rehearsed.report) == comparable(undisturbed.report)
    assert rehearsed.audit["clean"] is True
