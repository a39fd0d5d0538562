"""The embedded PostgreSQL as real processes: durable, private, restartable."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.databases import ExternalPostgres
from deploy.local.postgres import PostgresServer, Server, server_for, shared_buffers
from deploy.local.processes import StartFailed, free_port, leash, until
from deploy.local.provisioning import provision


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A server of its own for a test that stops or kills it."""
    made = PostgresServer(tmp_path / "data")
    await made.start()
    running = made.running()
    assert running is not None
    let_go = leash(running.pid)
    yield made
    let_go()
    await made.stop()
    made.destroy()


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_commit_is_durable_by_default(postgres: Server) -> None:
    """An answered payment survives a crash of the machine (architecture §3: synchronous_commit on)."""
    if isinstance(postgres, ExternalPostgres):
        pytest.skip("LIANGXIAN_POSTGRES_URL: its settings are not ours")
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await fetch(postgres.url("postgres"), f"SHOW {name}") == "on"
    assert await fetch(postgres.url("postgres"), "SHOW data_checksums") == "on"
    assert await fetch(postgres.url("postgres"), "SHOW server_version_num") >= "180000"


async def test_its_buffers_are_an_eighth_of_the_machine_within_bounds(postgres: Server) -> None:
    """A district's indexes do not fit what PostgreSQL takes by default; what only grows is not vacuumed for that."""
    if isinstance(postgres, ExternalPostgres):
        pytest.skip("LIANGXIAN_POSTGRES_URL: its settings are not ours")
    sizes = [shared_buffers(gib * 1024**3) for gib in (0, 4, 24, 512)]
    assert sizes == ["128MB", "512MB", "3072MB", "8192MB"]
    connection = await asyncpg.connect(postgres.url())
    try:
        size = await connection.fetchval("SELECT pg_size_bytes(current_setting('shared_buffers'))")
        assert size >= 128 << 20
        assert await connection.fetchval("SHOW autovacuum_vacuum_insert_threshold") == "-1"
    finally:
        await connection.close()


async def test_only_loopback_listens_and_only_with_the_password(server: PostgresServer) -> None:
    assert await fetch(server.url("postgres"), "SHOW listen_addresses") == "127.0.0.1"
    assert await fetch(server.url("postgres"), "SHOW unix_socket_directories") == ""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url("postgres", role="liangxian", password="guess"))
    mode = stat.S_IMODE((server.directory / "postgres.password").stat().st_mode)
    assert mode == 0o600


async def test_no_password_reaches_the_servers_log(server: PostgresServer) -> None:
    """A second start gives every role its password again; PostgreSQL logs statements that fail (architecture §5:
    secrets lie in 0600 files, the log is readable to others)."""
    for _start in range(2):
        await server.create_role("someone", "marked-secret")
    assert await fetch(server.url("postgres", role="someone", password="marked-secret"), "SELECT 1") == 1
    assert "marked-secret" not in server.log.read_text(encoding="utf-8")


async def test_an_installation_does_not_take_over_anothers_databases(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Two data directories on one foreign server: a demo beside a system that is up would write into its
    databases, change its roles' passwords, and drop them at its end."""
    foreign = ExternalPostgres(server.url())
    first = await provision(foreign, tmp_path / "first" / "databases.json")
    with pytest.raises(StartFailed, match="another installation"):
        await provision(foreign, tmp_path / "second" / "databases.json")
    assert await fetch(first["registration"]["service"], "SELECT 1") == 1
    assert await provision(foreign, tmp_path / "first" / "databases.json") == first


async def test_under_root_the_server_is_another_user(server: PostgresServer) -> None:
    running = server.running()
    assert running is not None
    process = running.process()
    assert process is not None
    owner = process.uids().effective
    assert owner == os.geteuid() if os.geteuid() != 0 else owner != 0


async def test_a_killed_server_starts_again_on_the_same_port_with_its_data(server: PostgresServer) -> None:
    """kill -9 of the whole server: the committed row is there, the address unchanged."""
    await server.create_database("kept")
    url = server.url("kept")
    await fetch(url, "CREATE TABLE fact (fen bigint)")
    await fetch(url, "INSERT INTO fact VALUES (28000)")
    before = server.running()
    assert before is not None
    before.signal(signal.SIGKILL)
    assert await until(lambda: server.running() is None, seconds=10)

    await server.start()

    after = server.running()
    assert after is not None
    assert after.pid != before.pid
    assert server.url("kept") == url
    assert await fetch(url, "SELECT fen FROM fact") == 28000


async def test_a_running_server_is_adopted_not_started_twice(server: PostgresServer) -> None:
    second = PostgresServer(server.directory)
    await second.start()
    assert second.running() == server.running()


async def test_a_stale_lock_file_of_a_reused_pid_does_not_block(tmp_path: Path) -> None:
    """After a reboot the pid in postmaster.pid may belong to another program: here, to this test."""
    server = PostgresServer(tmp_path / "data")
    await server.start()
    cluster = identify_cluster(server)
    await server.stop()
    (cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster}\n0\n", encoding="ascii")
    assert server.running() is None

    await server.start()

    restarted = server.running()
    assert restarted is not None
    assert restarted.pid != os.getpid()
    await server.stop()
    server.destroy()


async def test_a_given_port_is_used(tmp_path: Path) -> None:
    port = free_port()
    server = PostgresServer(tmp_path / "data", port=port)
    await server.start()
    assert f"@127.0.0.1:{port}/" in server.url("postgres")
    await server.stop()
    server.destroy()


async def test_a_taken_port_is_refused(server: PostgresServer, tmp_path: Path) -> None:
    other = PostgresServer(tmp_path / "other", port=server.port)
    with pytest.raises(StartFailed, match="is taken"):
        await other.start()
    other.destroy()


async def test_a_directory_the_server_cannot_reach_still_works(tmp_path: Path) -> None:
    """A checkout in root's own home (0700) must not keep the demo from starting."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "data")
    await server.start()
    assert await fetch(server.url("postgres"), "SELECT 1") == 1
    await server.stop()
    server.destroy()


@pytest.mark.skipif(os.geteuid() != 0, reason="only under root does a cluster lie outside its data directory")
async def test_a_cluster_whose_data_directory_is_gone_is_removed(tmp_path: Path) -> None:
    """Under root it lies in a public place; removing the data directory must not leave it there for ever."""
    gone, kept = tmp_path / "gone", tmp_path / "kept"
    for each in (gone, kept):
        each.mkdir(mode=0o700)
    orphan, other = PostgresServer(gone / "data"), PostgresServer(kept / "data")
    await orphan.start()
    cluster = identify_cluster(orphan)
    await orphan.stop()
    shutil.rmtree(gone)

    await other.start()

    assert not cluster.exists()
    await other.stop()
    other.destroy()


def identify_cluster(server: PostgresServer) -> Path:
    """Where a running server's cluster lies."""
    running = server.running()
    assert running is not None
    process = running.process()
    assert process is not None
    return Path(process.cwd())


async def test_a_refused_start_quotes_the_log(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "data")
    await server.start()
    conf = identify_cluster(server) / "postgresql.conf"
    await server.stop()
    with conf.open("a", encoding="ascii") as file:
        file.write("no_such_setting = on\n")
    with pytest.raises(StartFailed, match="no_such_setting"):
        await server.start()
    server.destroy()


async def test_a_running_cluster_is_not_removed(server: PostgresServer) -> None:
    with pytest.raises(RuntimeError, match="stop PostgreSQL"):
        server.destroy()


async def test_roles_log_in_with_their_own_password(server: PostgresServer) -> None:
    await server.create_role("auditor", "first")
    await server.create_role("auditor", "it's a second")
    url = server.url("postgres", role="auditor", password="it's a second")
    assert await fetch(url, "SELECT current_user") == "auditor"


async def test_a_database_is_made_once_and_dropped_with_its_sessions(postgres: Server) -> None:
    assert await postgres.create_database("once") is True
    assert await postgres.create_database("once") is False
    idle = await asyncpg.connect(postgres.url("once"))
    await postgres.drop_database("once")
    await postgres.drop_database("once")
    assert await until(idle.is_closed, seconds=5)
    idle.terminate()


async def test_an_address_replaces_the_embedded_server(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LIANGXIAN_POSTGRES_URL takes any PostgreSQL >= 15 (architecture §7)."""
    monkeypatch.setenv("LIANGXIAN_POSTGRES_URL", postgres.url("postgres"))
    other = server_for(tmp_path)
    await other.start()
    assert isinstance(other, ExternalPostgres)
    assert other.running() is None
    await other.create_database("elsewhere")
    assert await fetch(other.url("elsewhere"), "SELECT 1") == 1
    await other.stop()
    assert await fetch(other.url("elsewhere"), "SELECT 1") == 1
    await other.drop_database("elsewhere")
