"""Detectors: what two writers and a tail may never show. The mutants prove that they notice."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import defaultdict
from typing import Any

import asyncpg

from shared.eventstore.log import Claim, Expected, NewEvent, Proposal
from shared.eventstore.postgres_log import PostgresLog
from shared.kernel.clock import SystemRuntime
from tests.contract.eventstore.sample import METADATA, PURSE, TYPES, Paid

NOW = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def proposal(purse: str, version: int = 1, keys: tuple[str, ...] = ()) -> Proposal:
    """One event in one purse, and keys in the order given."""
    stream = PURSE.stream(purse, era=2020)
    name, schema, data = TYPES.encode(Paid(fen=1))
    metadata = f'{{"correlation":"{METADATA.correlation}"}}'.encode()
    return Proposal(
        expected=[Expected(0, 2020, stream.id, version - 1)],
        claims=[Claim(0, "bank", "pay", key, b"d", 201, b"{}", 2020, stream.id, version) for key in keys],
        events=[
            NewEvent(
                0, SystemRuntime().new_id(), 2020, stream.id, version, name, schema, data, metadata, NOW, NOW
            )
        ],
    )


async def waiting_for_a_lock(url: str, at_least: int = 1) -> None:
    """Return when so many backends of this database wait for a lock."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(20):
            while True:
                waiting = await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if waiting >= at_least:
                    return
    finally:
        await connection.close()


async def lost_by_a_tail(first: PostgresLog, second: PostgresLog, reader: PostgresLog, url: str) -> set[str]:
    """Hold one append open while another writer appends and a tail reads on; streams the tail never saw."""
    seen: list[str] = []
    position = 0

    async def read_on() -> None:
        nonlocal position
        page = await reader.read_page(position, 100)
        position = page.scanned
        seen.extend(item.stream for item in page.events)

    async with first.transaction() as transaction:
        await transaction.append(proposal("held"))
        other = asyncio.ensure_future(second.append(proposal("other")))
        blocked = asyncio.ensure_future(waiting_for_a_lock(url))
        await asyncio.wait({other, blocked}, return_when=asyncio.FIRST_COMPLETED)
        blocked.cancel()
        await asyncio.gather(blocked, return_exceptions=True)
        await read_on()
        assert "purse:held" not in seen
    await other
    await read_on()
    assert len(seen) == len(set(seen))
    return {"purse:held", "purse:other"} - set(seen)


class _LetGoError(Exception):
    """A transaction ends as if it had never been."""


async def deadlocked(logs: list[PostgresLog], url: str) -> bool:
    """Two writers claim the same keys in opposite order while a third holds the middle one and lets it go."""
    racing = []
    with contextlib.suppress(_LetGoError):
        async with logs[2].transaction() as third:
            driver = third.connection.driver  # type: ignore[attr-defined]
            await driver.execute(
                "INSERT INTO platform.idempotency (organisation, operation, key, digest, status, response)"
                " VALUES ('bank', 'pay', 'm', '', 201, '')"
            )
            racing = [
                asyncio.ensure_future(logs[0].append(proposal("one", keys=("a", "m", "z")))),
                asyncio.ensure_future(logs[1].append(proposal("two", keys=("z", "m", "a")))),
            ]
            await waiting_for_a_lock(url, at_least=2)
            raise _LetGoError
    answers: list[Any] = await asyncio.gather(*racing, return_exceptions=True)
    return any(isinstance(answer, asyncpg.DeadlockDetectedError) for answer in answers)


async def faults_of(log: PostgresLog) -> list[str]:
    """What is wrong with a log at rest: holes in streams, positions out of order."""
    versions: dict[tuple[int, str], list[int]] = defaultdict(list)
    faults, position = [], 0
    while True:
        page = await log.read_page(position, 1000)
        if page.scanned == position:
            break
        position = page.scanned
        for item in page.events:
            versions[item.era, item.stream].append(item.version)
    for stream, numbers in versions.items():
        if numbers != list(range(1, len(numbers) + 1)):
            faults.append(f"{stream}: {numbers}")
    return faults
