"""The audit over PostgreSQL: 200,000 rows read by pages through a snapshot, surveyed by SQL; what is marred is seen."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
import pytest

from deploy.audit.hearing import ORDER
from deploy.audit.reading import open_log
from deploy.audit.survey import survey_rows
from deploy.audit.verify import AuditReport, Examination
from shared.eventstore.migrate import migrate
from tests.unit.audit.volume import FEN, PACKS, Volume

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

MANY = 14_300
FEW = 1200
LOGS = ("collection", "registration")
COLUMNS = (
    "position",
    "event_id",
    "era",
    "stream",
    "version",
    "type",
    "schema",
    "data",
    "metadata",
    "occurred_at",
    "recorded_at",
    "appended_at",
)


async def fill(url: str, service: str, volume: Volume) -> None:
    """The volume's rows as the log would have them."""

    def records() -> Any:
        for row in volume.log(service):
            data = msgspec.json.encode(row.data).decode()
            event_id = uuid.UUID(int=row.position)
            yield (
                row.position, event_id, row.era, row.stream, row.version, row.type, 1, data, "{}",
                row.occurred_at, row.occurred_at, row.occurred_at,
            )  # fmt: skip

    connection = await asyncpg.connect(url)
    try:
        await connection.copy_records_to_table(
            "events", schema_name="platform", columns=COLUMNS, records=records()
        )
        await connection.execute("ANALYZE platform.events")
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Logs:
    """Address of each log, and how many people are in two of them."""

    people: int
    addresses: dict[str, str]


@pytest.fixture
async def logs(request: pytest.FixtureRequest, database_factory: Callable[..., str]) -> Logs:
    """Two logs with the volume, filled once and copied for each test; two empty ones."""
    people: int = getattr(request, "param", FEW)

    async def collection(url: str) -> None:
        await migrate(url)
        await fill(url, "collection", Volume(people))

    async def registration(url: str) -> None:
        await migrate(url)
        await fill(url, "registration", Volume(people))

    async def empty(url: str) -> None:
        await migrate(url)

    prepared = {
        "collection": collection,
        "registration": registration,
        "subsidy": empty,
        "notification": empty,
    }
    return Logs(
        people,
        {name: database_factory(prepare, f"audit-{name}-{people}") for name, prepare in prepared.items()},
    )


async def examined(logs: Logs) -> tuple[AuditReport, int]:
    """The report, and how many rows were read."""
    examination = Examination(PACKS)
    read = 0
    for name in ORDER:
        async with open_log(logs.addresses[name]) as log:
            examination.survey(name, await log.survey())
            async for rows in log.pages(examination.types(name)):
                examination.hear(name, rows)
                read += len(rows)
    for page in Volume(logs.people).books():
        examination.compare_with(page)
    return examination.report(), read


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[Any]:
    """Whoever owns the database, past its rules."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("logs", [MANY], indirect=True)
async def test_what_is_read_by_pages_is_what_is_there(logs: Logs) -> None:
    """Every invariant that applies holds over 200,000 rows; received copies are surveyed, not read."""
    began = time.perf_counter()
    report, read = await examined(logs)
    print(f"\n{sum(report.events.values()):,} rows in {time.perf_counter() - began:.1f} s")
    assert sum(report.events.values()) > 200_000
    assert read < 0.5 * sum(report.events.values())
    assert [each.id for each in report.invariants if each.violations] == []
    assert (report.unaccounted_fen, report.states) == (0, {"BOOKED": FEN * logs.people})


async def test_the_survey_in_sql_is_the_survey_of_the_rows(logs: Logs) -> None:
    for service in LOGS:
        async with open_log(logs.addresses[service]) as log:
            for since in (0, 1000):
                assert await log.survey(since) == survey_rows(Volume(logs.people).log(service), since)


async def test_a_deleted_row_is_a_gap_and_its_fen(logs: Logs) -> None:
    """I-30: the next version of the stream does not follow; the money is missed as exactly its fen."""
    async with owner(logs.addresses["collection"]) as connection:
        lost = await connection.fetchval(
            "DELETE FROM platform.events WHERE position = (SELECT min(position) FROM platform.events"
            " WHERE type = 'VoucherLines') RETURNING data::text"
        )
    fen = sum(line[4] for line in msgspec.json.decode(lost)["lines"])
    report, _ = await examined(logs)
    found = {each.id: each for each in report.invariants}
    assert found["I-30"].violations == len(range(0, logs.people, 500)) * 2 - 1 + 4
    assert len(found["I-30"].details) == min(20, found["I-30"].violations)
    assert report.unaccounted_fen == fen > 0


async def test_money_in_a_virtual_households_stream_is_a_stranger(logs: Logs) -> None:
    """I-07: whatever its type, known to anybody or not."""
    async with owner(logs.addresses["collection"]) as connection:
        await connection.execute(
            "UPDATE platform.events SET stream = 'virtual-household:v', version = 1 WHERE type = 'FundsRemitted'"
        )
    report, _ = await examined(logs)
    found = {each.id: each for each in report.invariants}
    assert found["I-07"].violations == 1


async def test_an_audit_cannot_write(logs: Logs) -> None:
    async with open_log(logs.addresses["subsidy"]) as log:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await log._connection.execute("DELETE FROM platform.events")
