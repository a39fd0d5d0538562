"""Measure 5: a bulk file of payments, all checks and per-row outcomes, alone and beside singles at 1,000/s.

Held against COPY of the same event rows, and the ORM adding the business row and its outbox row, a commit per 1,000.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from shared.eventstore.migrate import migrate
from tests.benchmarks.baselines.orm_service import Base, OutboxRow, PaymentRow
from tests.benchmarks.rig.accounts import Accounts
from tests.benchmarks.rig.campaign import FEN, assess, open_campaign, person, write_payments
from tests.benchmarks.rig.load import Plan, Report, Target
from tests.benchmarks.rig.site import Child, Site, fire
from tests.benchmarks.rig.table import Measure, Table

ROWS = 20_000
ORM_ROWS = 6_000
ROUNDS = 3
SINGLES = 1_000
WAIT_SECONDS = 120.0
WAIT_AT_ONCE = 5.0
"""How long one request waits for the last outcome."""

SINGLES_SECONDS = 15.0
OURS, ALONE, BESIDE = "file", "file, one worker", "file beside singles"
COPY, ORM = "COPY", "ORM per 1,000"
COLUMNS = ["event_id", "era", "stream", "version", "type", "schema", "data", "metadata", "occurred_at",
           "recorded_at", "appended_at"]  # fmt: skip


async def measure(site: Site, table: Table, rows: int = ROWS, rounds: int = ROUNDS) -> None:
    """Every round each in turn; medians."""
    opening = await site.service("collection", name="opening")
    tokens = {name: await site.token(opening.port, name) for name in ("tax", "platform")}
    pack = await open_campaign(opening.port, tokens["tax"])
    await site.drop("opening")
    singles = int(SINGLES * SINGLES_SECONDS * 1.05)
    people = rounds * (3 * rows + singles)
    await assess(site, 0, people, pack)
    api = await site.service("collection", roles="api")
    worker = await site.service("collection", name="worker")
    await _read_until_here(site)
    await site.postgres.create_database("bench_copy")
    await migrate(site.postgres.url("bench_copy"))
    await site.postgres.create_database("bench_orm")
    await site.at_rest(people)
    found = Measure(f"bulk file of {rows:,} payments", "rows/s")
    for number in range(rounds):
        first = number * (3 * rows + singles)
        found.add(COPY, await _copied(site, first, rows))
        found.add(ORM, await _added(site, min(rows, ORM_ROWS), number))
        second = await site.service("collection", name="second")
        pids = {"api": api.pid, "worker": worker.pid}
        accounts = Accounts(pids | {"second": second.pid}, site.postmaster)
        before = accounts.read()
        rate = await _imported(site, second, tokens["tax"], first, rows, found)
        found.add(OURS, rate, accounts.since(before))
        await _read_until_here(site)
        await site.drop("second")
        accounts = Accounts(pids, site.postmaster)
        before = accounts.read()
        rate = await _imported(site, worker, tokens["tax"], first + rows, rows, found)
        found.add(ALONE, rate, accounts.since(before))
        await _read_until_here(site)
        requests = write_payments(site.layout.data / "singles.tsv", first + 3 * rows, singles, f"S{number}")
        target = Target((api.port,), "/payments", {"Authorization": f"Bearer {tokens['platform']}"})
        seconds = rows / found.median(ALONE) * 1.5 + 2
        plan = Plan(target, str(requests), min(seconds, SINGLES_SECONDS), 64, rate=SINGLES, seed=number + 1)
        firing = asyncio.create_task(fire(plan))
        await asyncio.sleep(1.0)
        before = accounts.read()
        rate = await _imported(site, worker, tokens["tax"], first + 2 * rows, rows, found)
        cpu = accounts.since(before)
        report: Report = await firing
        found.add(BESIDE, rate, cpu, singles_p99_ms=report.p99_ms)
        if report.accepted != report.offered:
            found.fault(f"singles: {report.statuses}, {report.dropped} dropped")
    found.ratio(OURS, COPY, 0.25)
    found.ratio(OURS, ORM, 4.0)
    found.ratio(BESIDE, COPY, 0.15)
    found.at_most("singles' p99 ms", found.median_of(BESIDE, "singles_p99_ms"), 50.0)
    found.note(
        "two workers: read models, reactions and the relay run in the one, the file is worked off in the other; "
        "beside singles, which go to a third process, the file is worked off where the readers run, as with one worker"
    )
    table.take(found)


async def _read_until_here(site: Site) -> None:
    """What lies in the log already is not the next measure's matter: its readers begin behind it."""
    connection = await asyncpg.connect(site.postgres.url("collection"), timeout=10)
    try:
        head = await connection.fetchval("SELECT max(position) FROM platform.events")
        deadline = time.perf_counter() + WAIT_SECONDS
        while time.perf_counter() < deadline:
            least = await connection.fetchval(
                "SELECT min(position) FROM platform.checkpoints WHERE name IN ('relay', 'projection:obligations')"
            )
            if least is not None and least >= head:
                return
            await asyncio.sleep(0.2)
    finally:
        await connection.close()


async def _copied(site: Site, first: int, count: int) -> float:
    """Rows per second of COPY, the rows of a payment's event made beforehand."""
    at = dt.datetime(2019, 11, 2, 10, 15, tzinfo=dt.UTC)
    metadata = '{"correlation":"bench","actor":"platform","organisation":"platform"}'
    rows = []
    for number in range(first, first + count):
        data = {
            "payment_id": f"WECHAT-B{number}", "line_id": f"WECHAT-B{number}/1", "order_no": f"B{number}",
            "channel": "WECHAT", "person_id": person(number), "insurance": "medical", "year": 2020,
            "campaign": "370406-2020", "village": "370406101201", "fen": FEN, "paid_at": at.isoformat(),
            "assessment_id": f"2020-medical-{person(number)}-1", "assessment_version": 1, "standard_fen": FEN,
        }  # fmt: skip
        rows.append((uuid.UUID(int=(2 << 100) + number), 2020, f"obligation:2020:medical:{person(number)}", 2,
                     "PaymentReceived", 1, msgspec.json.encode(data).decode(), metadata, at, at, at))  # fmt: skip
    connection = await asyncpg.connect(site.postgres.url("bench_copy"), timeout=10)
    try:
        started = time.perf_counter()
        await connection.copy_records_to_table(
            "events", schema_name="platform", records=rows, columns=COLUMNS
        )
        return count / (time.perf_counter() - started)
    finally:
        await connection.close()


async def _added(site: Site, count: int, number: int) -> float:
    """Rows per second of the ORM, two rows a payment, a commit per 1,000 payments."""
    address = make_url(site.postgres.url("bench_orm")).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        sessions = async_sessionmaker(engine, class_=AsyncSession)
        paid_at = dt.datetime(2019, 11, 2, 10, 15, tzinfo=dt.UTC)
        started = time.perf_counter()
        for start in range(0, count, 1000):
            async with sessions() as session:
                for row in range(start, min(count, start + 1000)):
                    key = f"{number}-{row}"
                    session.add(PaymentRow(order_no=key, person_id=person(row), fen=FEN, paid_at=paid_at))
                    session.add(OutboxRow(payload=f'{{"order_no": "{key}", "fen": {FEN}}}'))
                await session.commit()
        return count / (time.perf_counter() - started)
    finally:
        await engine.dispose()


def _file(place: Path, first: int, count: int) -> bytes:
    """NDJSON of payments."""
    rows = write_payments(place, first, count, "B").read_bytes().splitlines()
    return b"\n".join(row.partition(b"\t")[2] for row in rows)


async def _imported(site: Site, server: Child, token: str, first: int, count: int, found: Measure) -> float:
    """Rows per second from the upload's first byte to the last outcome."""
    content = _file(site.layout.data / "bulk.tsv", first, count)
    headers = {"Authorization": f"Bearer {token}"}
    address = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
        started = time.perf_counter()
        upload = {"Idempotency-Key": f"bulk-{first}", "Content-Type": "application/x-ndjson"}
        response = await client.post("/payments:import", content=content, headers=upload)
        import_id = response.raise_for_status().json()["import_id"]
        status: dict[str, Any] = {}
        while time.perf_counter() - started < WAIT_SECONDS and status.get("state") != "DONE":
            told = await client.get(f"/imports/{import_id}", params={"wait": WAIT_AT_ONCE})
            status = told.raise_for_status().json()
        seconds = time.perf_counter() - started
    if (status.get("state"), status.get("accepted")) != ("DONE", count):
        found.fault(f"import: {status.get('state')}, {status.get('accepted')} of {count} accepted")
    return count / seconds
