"""The supervisor with real processes: restarts what dies, goes on after it was killed itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest

from deploy.local.control import down, status, supervisor_command, supervisor_of, up
from deploy.local.layout import SERVICES, Broker, Layout, Options, State, read_state
from deploy.local.postgres import PostgresServer
from deploy.local.processes import StartFailed, free_port, python, read_pid_file, spawn, until
from deploy.local.programs import Program, programs
from deploy.local.provisioning import Addresses
from deploy.local.supervisor import Supervisor, parse

HERE = str(Path(__file__).parent)


def small_programs(*names: str, **extra: str) -> object:
    """Programs of this folder's small service, one per name, on ports of their own."""
    ports = {name: free_port() for name in names}

    def choose(options: Options, layout: Layout, addresses: Addresses, kafka: str | None) -> list[Program]:
        return [
            Program(name, "small_service", port, {"PYTHONPATH": HERE, "LIANGXIAN_PORT": str(port), **extra})
            for name, port in ports.items()
        ]

    return choose


@contextlib.asynccontextmanager
async def supervised(options: Options, choose: object) -> AsyncIterator[Supervisor]:
    """A ready system in this process; stopped at the end, its data removed."""
    supervisor = Supervisor(options, choose)  # type: ignore[arg-type]
    stop = asyncio.Event()
    task = asyncio.create_task(supervisor.run(stop))
    try:
        assert await until(lambda: supervisor.ready or task.done(), seconds=60)
        if task.done():
            await task
        yield supervisor
    finally:
        stop.set()
        if not task.done():
            await task
        if isinstance(supervisor.postgres, PostgresServer):
            supervisor.postgres.destroy()


async def pid_of(port: int) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return int((await client.get(f"http://127.0.0.1:{port}/")).json()["pid"])


async def answers(port: int) -> bool:
    try:
        return await pid_of(port) > 0
    except httpx.HTTPError:
        return False


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(data=tmp_path / "data", ready_file=tmp_path / "ready")


async def test_a_killed_service_is_started_again(options: Options) -> None:
    """kill -9 of any service in mid-run: the supervisor restarts it (issue: the main job)."""
    async with supervised(options, small_programs("one", "two")) as system:
        one = system.kept[0]
        before = await pid_of(one.program.port)
        assert before == read_pid_file(system.layout.pid("one")).pid  # type: ignore[union-attr]
        assert one.running is not None
        one.running.signal(signal.SIGKILL)

        async def another() -> bool:
            return await answers(one.program.port) and await pid_of(one.program.port) != before

        assert await until(another, seconds=20)
        assert one.restarts == 1
        assert system.kept[1].restarts == 0


async def test_a_killed_database_is_started_again_with_the_same_address(options: Options) -> None:
    async with supervised(options, small_programs("one")) as system:
        url = system.postgres.url("registration")
        running = system.postgres.running()
        assert running is not None
        running.signal(signal.SIGKILL)

        async def back() -> bool:
            try:
                connection = await asyncpg.connect(url, timeout=5)
            except (OSError, asyncpg.PostgresError):
                return False
            await connection.close()
            return True

        assert await until(lambda: system.postgres.running() is None, seconds=10)
        assert await until(back, seconds=30)
        assert system.postgres.url("registration") == url


async def test_up_refuses_a_system_that_was_asked_for_otherwise(options: Options) -> None:
    """`make up BROKER=kafka` while the embedded one runs must not answer that all is well."""
    async with supervised(options, small_programs("one")) as system:
        assert (await up(options)).supervisor == os.getpid()
        for other in (replace(options, broker=Broker.KAFKA), replace(options, port_base=9101)):
            with pytest.raises(StartFailed, match="another system runs"):
                await up(other)
        assert system.ready


async def test_ready_is_told_by_file_and_state(options: Options) -> None:
    async with supervised(options, small_programs("one")) as system:
        assert options.ready_file is not None
        told = msgspec.json.decode(options.ready_file.read_bytes(), type=State)
        assert told.ready
        assert set(told.programs) == {"one", "postgres"}
        assert told.programs["one"].running
        assert told.programs["one"].peak_mib > 0
        assert read_state(system.layout) is not None
        [group] = msgspec.json.decode(system.layout.targets.read_bytes())
        assert group["targets"] == [f"127.0.0.1:{system.kept[0].program.port}"]
    assert not options.ready_file.exists()
    after = read_state(Layout(options.data))
    assert after is not None
    assert not after.ready
    assert not any(each.running for each in after.programs.values())


async def test_stopping_leaves_no_process(options: Options) -> None:
    async with supervised(options, small_programs("one", "two")) as system:
        pids = [kept.running for kept in system.kept] + [system.postgres.running()]
    assert all(each is not None and not each.alive() for each in pids)
    assert list(options.data.glob("run/*.pid")) == []


async def test_a_service_that_cannot_start_is_given_up_with_its_words(options: Options) -> None:
    with pytest.raises(StartFailed, match="this one cannot start"):
        async with supervised(options, small_programs("one", SMALL_SERVICE_FAILS="1")):
            pytest.fail("it became ready")
    state = read_state(Layout(options.data))
    assert state is not None
    assert "this one cannot start" in state.failure


async def test_a_second_supervisor_of_the_same_data_is_refused(options: Options) -> None:
    async with supervised(options, small_programs("one")):
        with pytest.raises(StartFailed, match="runs already"):
            await Supervisor(options, small_programs("two")).run(asyncio.Event())  # type: ignore[arg-type]


async def test_processes_of_a_killed_supervisor_are_gone_on_with(options: Options) -> None:
    """kill -9 of the supervisor: what it started lives, and the next one adopts it."""
    choose = small_programs("one")
    first = Supervisor(options, choose)  # type: ignore[arg-type]
    await first._start()
    port = first.kept[0].program.port
    assert await until(lambda: answers(port), seconds=20)
    before = await pid_of(port)

    async with supervised(options, choose) as second:
        assert await pid_of(port) == before
        assert second.kept[0].restarts == 0
        assert second.postgres.running() is not None


async def test_leftovers_on_other_ports_are_ended(options: Options) -> None:
    first = Supervisor(options, small_programs("one"))  # type: ignore[arg-type]
    await first._start()
    left = first.kept[0].running
    assert left is not None
    async with supervised(replace(options, port_base=free_port()), small_programs("two")):
        assert not left.alive()


async def test_down_ends_what_a_killed_supervisor_left(options: Options) -> None:
    first = Supervisor(options, small_programs("one"))  # type: ignore[arg-type]
    await first._start()
    left, database = first.kept[0].running, first.postgres.running()
    assert left is not None
    assert database is not None

    assert await down(options.data) is True

    assert not left.alive()
    assert not database.alive()
    assert await down(options.data) is False
    assert isinstance(first.postgres, PostgresServer)
    first.postgres.destroy()


async def test_down_and_status_reach_a_supervisor_of_its_own(options: Options, tmp_path: Path) -> None:
    """The supervisor as a process: status sees who answers, down ends it politely."""
    script = tmp_path / "own_supervisor.py"
    script.write_text(
        "import asyncio, sys\n"
        f"sys.path.insert(0, {HERE!r})\n"
        "from pathlib import Path\n"
        "from test_supervisor import small_programs\n"
        "from deploy.local.layout import Options\n"
        "from deploy.local.supervisor import supervise\n"
        f"asyncio.run(supervise(Options(data=Path({str(options.data)!r})), small_programs('one')))\n",
        encoding="utf-8",
    )
    child = spawn([python(), script], log=tmp_path / "log")
    layout = Layout(options.data)

    def ready() -> bool:
        state = read_state(layout)
        return child.poll() is not None or (state is not None and state.ready)

    assert await until(ready, seconds=60)
    state, answering = await status(options.data)
    assert state is not None, (tmp_path / "log").read_text()
    assert answering == {"one": True}
    assert supervisor_of(layout) is not None

    assert await down(options.data) is True

    assert child.wait(timeout=5) == 0
    assert await status(options.data) == (None, {})
    PostgresServer(options.data).destroy()


def test_every_service_gets_its_own_database_and_the_outside_world_none(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One database per service; the rehearsal has no database address (architecture §2, §3)."""
    monkeypatch.setenv("LIANGXIAN_POSTGRES_URL", "postgresql://super:user@127.0.0.1:1/postgres")
    addresses = {
        name: {
            "service": f"postgresql://{name}",
            "migrate": f"postgresql://{name}_owner",
            "auditor": "postgresql://a",
        }
        for name in SERVICES
    } | {"broker": {"service": "postgresql://broker"}}
    found = {each.name: each for each in programs(options, Layout(options.data), addresses, None)}
    assert [each.port for each in found.values()] == [8101, 8102, 8103, 8104, 8110]
    for name in SERVICES:
        environment = found[name].environment
        assert environment["LIANGXIAN_DATABASE_URL"] == f"postgresql://{name}"
        assert environment["LIANGXIAN_BROKER_URL"] == "postgresql://broker"
        assert "super:user" not in str(environment)
    assert not [value for value in found["rehearsal"].environment.values() if "postgresql:" in value]


def test_kafka_is_handed_over_by_its_bootstrap_address(options: Options) -> None:
    addresses = {name: {"service": "", "migrate": ""} for name in SERVICES} | {"broker": {"service": ""}}
    on_kafka = replace(options, broker=Broker.KAFKA, rehearsal=False)
    found = programs(on_kafka, Layout(options.data), addresses, "127.0.0.1:9092")
    assert {each.environment["LIANGXIAN_BROKER_URL"] for each in found} == {"127.0.0.1:9092"}
    assert {each.environment["LIANGXIAN_BROKER"] for each in found} == {"kafka"}
    assert [each.name for each in found] == list(SERVICES)


def test_the_supervisors_command_line_says_what_was_asked(options: Options) -> None:
    asked = replace(options, broker=Broker.KAFKA, port_base=9101, rehearsal=False)
    said = [str(part) for part in supervisor_command(asked)[3:]]
    assert parse(said) == replace(asked, data=asked.data.resolve())


async def test_roles_can_do_what_they_need_and_no_more(options: Options) -> None:
    """The owner makes tables, the service uses them, the auditor reads; strangers do not connect."""
    async with supervised(options, small_programs("one")) as system:
        file = system.layout.databases
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        addresses = msgspec.json.decode(file.read_bytes())
        owner = await asyncpg.connect(addresses["collection"]["migrate"])
        service = await asyncpg.connect(addresses["collection"]["service"])
        auditor = await asyncpg.connect(addresses["collection"]["auditor"])
        try:
            await owner.execute("CREATE TABLE takings (fen bigint)")
            await service.execute("INSERT INTO takings VALUES (28000)")
            assert await auditor.fetchval("SELECT sum(fen) FROM takings") == 28000
            for refused in ("ALTER TABLE takings ADD note text", "DROP TABLE takings"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await service.execute(refused)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await auditor.execute("INSERT INTO takings VALUES (1)")
        finally:
            for connection in (owner, service, auditor):
                await connection.close()
        elsewhere = addresses["collection"]["service"].rpartition("/")[0] + "/registration"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(elsewhere)
