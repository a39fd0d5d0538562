"""Servers that tests share: one PostgreSQL and one Kafka for a whole run, databases per test.

Both end with the test process, however it ends. ``LIANGXIAN_POSTGRES_URL`` names a PostgreSQL
that runs already.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from deploy.local.kafka import KafkaServer, missing_tools
from deploy.local.postgres import PostgresServer, Server, server_for
from deploy.local.processes import leash

T = TypeVar("T")
Prepare = Callable[[str], Coroutine[Any, Any, None]]
DatabaseFactory = Callable[..., str]


def in_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread with a loop of its own: fixtures of any scope may."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A started PostgreSQL: ``url(database)``, ``create_database(name)``, ``create_role``."""
    directory = tmp_path_factory.mktemp("postgres")
    server = server_for(directory)
    in_own_loop(server.start())
    running = server.running()
    let_go = leash(running.pid) if running is not None else None
    yield server
    if let_go is not None:
        let_go()
    in_own_loop(server.stop())
    if isinstance(server, PostgresServer):
        server.destroy()


@pytest.fixture(scope="session")
def _database_templates() -> dict[str, str]:
    return {}


_numbers = itertools.count(1)


@pytest.fixture
def database_factory(postgres: Server, _database_templates: dict[str, str]) -> Iterator[DatabaseFactory]:
    """``make(prepare=None, key=None) -> url`` of a fresh database, dropped after the test.

    ``prepare`` (migrations, say) is awaited once per run on a template named by ``key``
    (default: the function's qualified name); every database of that key is then a copy of it.
    """
    made: list[str] = []

    def make(prepare: Prepare | None = None, key: str | None = None) -> str:
        template = None
        if prepare is not None:
            key = key or f"{prepare.__module__}.{prepare.__qualname__}"
            if key not in _database_templates:
                name = f"template_{os.getpid()}_{next(_numbers)}"
                in_own_loop(postgres.create_database(name))
                in_own_loop(prepare(postgres.url(name)))
                _database_templates[key] = name
            template = _database_templates[key]
        name = f"test_{os.getpid()}_{next(_numbers)}"
        in_own_loop(postgres.create_database(name, template=template))
        made.append(name)
        return postgres.url(name)

    yield make
    for name in made:
        in_own_loop(postgres.drop_database(name))


@pytest.fixture
def database_url(database_factory: DatabaseFactory) -> str:
    """``postgresql://`` address of a fresh, empty database (superuser), dropped after the test."""
    return database_factory()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A started Apache Kafka (``bootstrap`` is host:port), shared by the run.

    Skips with the reason where Java or Maven is missing; where both are there, a broker that
    does not start is a failure, not a skip.
    """
    reason = missing_tools()
    if reason is not None:
        pytest.skip(reason)
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    in_own_loop(server.start())
    running = server.running()
    assert running is not None
    let_go = leash(running.pid)
    yield server
    let_go()
    in_own_loop(server.stop())


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A started Kafka for one test that kills or freezes it."""
    reason = missing_tools()
    if reason is not None:
        pytest.skip(reason)
    server = KafkaServer(tmp_path / "kafka")
    in_own_loop(server.start())
    running = server.running()
    assert running is not None
    let_go = leash(running.pid, 9)
    yield server
    let_go()
    server.thaw()
    in_own_loop(server.stop())
