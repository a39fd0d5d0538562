"""PostgreSQL, the services and the baselines on this machine, for as long as a measurement takes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import asyncpg
import httpx
import msgspec

from deploy.local.kafka import KafkaServer
from deploy.local.keys import ensure_keys
from deploy.local.layout import SERVICES, Broker, Layout, Options
from deploy.local.postgres import PostgresServer, Server, server_for
from deploy.local.processes import Running, StartFailed, end, identify, leash, spawn, tail_of, until
from deploy.local.programs import programs
from deploy.local.provisioning import Addresses, provision
from tests.benchmarks.rig.load import Plan, Report

SEGMENT_BYTES = 16 << 20
"""Of PostgreSQL's WAL."""

WAL_BYTES = 8500
"""Written by all services for one payment, until it is seen everywhere."""
USE_ALL_BUFFERS = (
    "CREATE UNLOGGED TABLE filling (page text STORAGE PLAIN)",
    """INSERT INTO filling SELECT repeat('-', 8000)
       FROM generate_series(1, (SELECT setting::bigint FROM pg_settings WHERE name = 'shared_buffers'))""",
    "DROP TABLE filling",
)
"""A table of as many pages as there are shared buffers, a row on each."""

ROOT = Path(__file__).resolve().parents[3]
_SCOPES = ", ".join(
    f'"collection:{capability}:{mode}"'
    for capability in (
        "campaigns", "taxpayers", "assessment", "roster", "payments", "settlement", "treasury",
        "reconciliation", "money",
    )
    for mode in ("read", "write")
)  # fmt: skip
ORGANISATIONS = f"""
clients:
- {{client_id: tax, client_secret: bench, organisation: tax, divisions: [""],
   scopes: [ops, "collection:imports:read", imports:read, {_SCOPES}]}}
- {{client_id: platform, client_secret: bench, organisation: platform, divisions: [""],
   scopes: ["collection:payments:write", "collection:payments:read"]}}
"""


class Child:
    """A process of ours; it ends with us."""

    def __init__(self, name: str, port: int, running: Running, let_go: Callable[[], None], log: Path) -> None:
        self.name = name
        self.port = port
        self.running = running
        self.log = log
        self._let_go = let_go

    @property
    def pid(self) -> int:
        return self.running.pid

    async def stop(self) -> None:
        await end(self.running, grace=30)
        self._let_go()


class Site:
    """Everything under one directory, ports from ``port_base``. Not to be shared."""

    def __init__(self, directory: Path, port_base: int) -> None:
        self.layout = Layout(directory)
        self.port_base = port_base
        self.postgres: Server = server_for(self.layout.data)
        self.children: dict[str, Child] = {}
        self.addresses: Addresses = {}
        self.kafka: KafkaServer | None = None
        self._leashes: list[Callable[[], None]] = []
        self._ports = iter(range(port_base + 20, port_base + 99))

    async def start(self) -> None:
        """PostgreSQL, the services' databases and keys."""
        self.layout.data.mkdir(parents=True, exist_ok=True)
        ensure_keys(self.layout.keys)
        (self.layout.data / "organisations.yaml").write_text(ORGANISATIONS, encoding="utf-8")
        await self.postgres.start()
        running = self.postgres.running()
        if running is not None:
            self._leashes.append(leash(running.pid))
        self.addresses = await provision(self.postgres, self.layout.databases)

    async def stop(self) -> None:
        """End every process and remove what was stored."""
        await asyncio.gather(*(child.stop() for child in self.children.values()))
        self.children.clear()
        if self.kafka is not None:
            await self.kafka.stop()
        await self.postgres.stop()
        for let_go in self._leashes:
            let_go()
        if isinstance(self.postgres, PostgresServer):
            self.postgres.destroy()
        shutil.rmtree(self.layout.data, ignore_errors=True)

    async def fresh(self) -> None:
        """The services stopped, their databases empty again."""
        await self.stop_services()
        for name in (*SERVICES, "broker"):
            await self.postgres.drop_database(name)
        self.addresses = await provision(self.postgres, self.layout.databases)

    async def at_rest(self, payments: int) -> None:
        """What filling the databases left to do is done now, not by autovacuum and checkpoints while something else is
        measured: as in the night before.

        payments: so many will come. A server that has worked for weeks has the WAL for them and uses it again, a fresh
        one fills every segment with zeros in the middle of somebody's commit; so it does with every page of its shared
        buffers that nobody has used yet.
        """
        for statement in USE_ALL_BUFFERS:
            await self._said("broker", statement)
        for name in (*SERVICES, "broker"):
            await self._said(name, "VACUUM (ANALYZE)")
        for _ in range(payments * WAL_BYTES // SEGMENT_BYTES + 1):
            await self._said("broker", "SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()")
        await self._said("broker", "CHECKPOINT")

    async def _said(self, database: str, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres.url(database), timeout=10)
        try:
            await connection.execute(statement, timeout=300)
        finally:
            await connection.close()

    async def stop_services(self) -> None:
        """End the services, leave the servers."""
        await asyncio.gather(*(child.stop() for child in self.children.values()))
        self.children.clear()

    @property
    def postmaster(self) -> int:
        running = self.postgres.running()
        return running.pid if running is not None else 0

    async def start_kafka(self) -> None:
        """A broker of our own."""
        self.kafka = KafkaServer(self.layout.data)
        await self.kafka.start()
        running = self.kafka.running()
        if running is not None:
            self._leashes.append(leash(running.pid, 9))

    async def service(
        self,
        service: str,
        *,
        roles: str = "all",
        name: str = "",
        broker: Broker = Broker.EMBEDDED,
        more: Mapping[str, str] | None = None,
    ) -> Child:
        """A process of a service, ready."""
        name = name or f"{service}-{roles}"
        port = next(self._ports)
        options = Options(data=self.layout.data, broker=broker, port_base=self.port_base, log_level="WARNING")
        bootstrap = self.kafka.bootstrap if self.kafka is not None else None
        chosen = programs(options, self.layout, self.addresses, bootstrap)
        program = next(each for each in chosen if each.name == service)
        environment = {
            **program.environment,
            "LIANGXIAN_ORGANISATIONS": str(self.layout.data / "organisations.yaml"),
            "LIANGXIAN_PORT": str(port),
            "LIANGXIAN_ROLES": roles,
            **(more or {}),
        }
        return await self._run(name, port, [sys.executable, "-m", program.module], environment)

    async def baseline(self, name: str, factory: str, *, is_factory: bool = True) -> Child:
        """A uvicorn process of a baseline app, ready. It has an own database."""
        port = next(self._ports)
        await self.postgres.create_database(f"bench_{name}")
        command = [sys.executable, "-m", "uvicorn", factory, "--port", str(port), "--no-access-log"]
        command += ["--log-level", "warning", "--no-server-header", "--no-date-header"]
        command += ["--factory"] if is_factory else []
        environment = {**os.environ, "BENCH_DATABASE_URL": self.postgres.url(f"bench_{name}")}
        return await self._run(name, port, command, environment)

    async def _run(
        self, name: str, port: int, command: Sequence[str], environment: Mapping[str, str]
    ) -> Child:
        log = self.layout.log(name)
        process = spawn(command, log=log, environment=environment, directory=ROOT)
        running = identify(process.pid)
        if running is None:
            raise StartFailed(tail_of(log))
        child = Child(name, port, running, leash(process.pid, 15), log)
        self.children[name] = child
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:

            async def ready() -> bool:
                if process.poll() is not None:
                    raise StartFailed(tail_of(log, 30))
                try:
                    return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
                except httpx.HTTPError:
                    return False

            if not await until(ready, seconds=60):
                raise StartFailed(tail_of(log, 30))
        return child

    async def drop(self, name: str) -> None:
        """End one process."""
        await self.children.pop(name).stop()

    async def token(self, port: int, client_id: str) -> str:
        """A bearer token from the development issuer."""
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "bench"}
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            response = await client.post(f"http://127.0.0.1:{port}/oauth/token", data=form)
        return str(response.raise_for_status().json()["access_token"])


async def fire(plan: Plan) -> Report:
    """Run the load generator in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.rig.load",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    let_go = leash(process.pid, 15)
    output, _ = await process.communicate(msgspec.json.encode(plan))
    let_go()
    if process.returncode:
        raise RuntimeError("the load generator failed")
    return msgspec.json.decode(output, type=Report)
