"""Measure 4: a treasury file of 100,000 lines: returned by collection, booked and entitled by registration.

The file names vouchers that are remitted already; what came before (people, enrolments, vouchers) is put into the logs
by COPY, and the relays begin behind it. Nothing may be booked before the file is there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import httpx
import msgspec

from services.collection.app import TYPES as COLLECTION
from services.collection.treasury import events as t
from services.registration.app import SERVICE
from services.registration.app import TYPES as REGISTRATION
from services.registration.enrolment.events import EnrolmentRegistered, Route
from services.registration.people.events import PersonRegistered
from shared.kernel.clock import SHANGHAI
from shared.kernel.identity import Sex
from shared.kernel.insurance import Insurance
from shared.messaging.relay import CURSOR
from shared.web.migrating import migrate_service
from tests.benchmarks.rig.accounts import Accounts
from tests.benchmarks.rig.campaign import CAMPAIGN, FEN, open_campaign, person, village
from tests.benchmarks.rig.site import Site
from tests.benchmarks.rig.table import Measure, Table

LINES = 100_000
VOUCHER_LINES = 500
WAIT_SECONDS = 240.0
AT = dt.datetime(2019, 10, 28, 9, tzinfo=SHANGHAI)
METADATA = f'{{"correlation":"bench","campaign":"{CAMPAIGN}"}}'
COLUMNS = ["event_id", "era", "stream", "version", "type", "schema", "data", "metadata", "occurred_at",
           "recorded_at", "appended_at"]  # fmt: skip


async def measure(site: Site, table: Table, lines: int = LINES) -> None:
    """Once: it is long enough to be its own average."""
    opening = await site.service("collection", name="opening")
    token = await site.token(opening.port, "tax")
    pack = await open_campaign(opening.port, token)
    await _told(site, opening.port, token)
    await site.drop("opening")
    addresses = site.addresses["registration"]
    await migrate_service(SERVICE, addresses["migrate"], addresses["service"])
    await _copy(site, "registration", REGISTRATION, _people(lines, pack))
    await _copy(site, "collection", COLLECTION, _vouchers(lines))
    collection = await site.service("collection")
    registration = await site.service("registration")
    await _caught_up(site)
    found = Measure(f"a treasury file of {lines:,} lines, returned, booked and entitled", "lines/s")
    reader = await asyncpg.connect(site.postgres.url("registration"), timeout=10)
    try:
        if await _count(reader, "paid_line WHERE booked"):
            found.fault("something was booked before the file")
        accounts = Accounts({"collection": collection.pid, "registration": registration.pid}, site.postmaster)
        before, started = accounts.read(), time.perf_counter()
        await _upload(collection.port, token, lines)
        booked = entitled = 0.0
        while time.perf_counter() - started < WAIT_SECONDS and not (booked and entitled):
            await asyncio.sleep(0.2)
            if not booked and await _count(reader, "paid_line WHERE booked") >= lines:
                booked = time.perf_counter() - started
            if not entitled and await _count(reader, "entitlement WHERE status = 'GRANTED'") >= lines:
                entitled = time.perf_counter() - started
        cpu = accounts.since(before)
        kept = (await _count(reader, "paid_line WHERE booked"),
                await _count(reader, "entitlement WHERE status = 'GRANTED'"))  # fmt: skip
    finally:
        await reader.close()
    if kept != (lines, lines):
        found.fault(f"{kept[0]:,} booked and {kept[1]:,} entitled of {lines:,} after {WAIT_SECONDS:g} s")
    found.add("to the last booking", lines / booked if booked else 0.0, cpu)
    found.add("to the last entitlement", lines / entitled if entitled else 0.0)
    found.at_least("lines/s to the last booking", found.median("to the last booking"), 5_000.0)
    table.take(found)


async def _count(connection: Any, what: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {what}"))


async def _told(site: Site, port: int, token: str) -> None:
    """The campaign's opening is on its topic."""
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.perf_counter() + 60
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as client:
        while time.perf_counter() < deadline:
            lag = (await client.get(f"http://127.0.0.1:{port}/ops/lag")).raise_for_status().json()
            if lag["drained"]:
                return
            await asyncio.sleep(0.1)
    raise TimeoutError("the campaign's opening was not published")


Rows = Iterator[tuple[str, int, Sequence[Any]]]


def _people(count: int, pack: dict[str, Any]) -> Rows:
    """Registered and enrolled."""
    for number in range(count):
        here, someone = village(number), person(number)
        yield f"person:{someone}", 0, [
            PersonRegistered(
                person_id=someone, birth=dt.date(1975, 5, 1), sex=Sex.FEMALE, division=here, hukou_division=here,
                residence_permit=False, student=False, household="", identified=True,
            )
        ]  # fmt: skip
        yield f"enrolment:medical:{someone}", 0, [
            EnrolmentRegistered(
                record_no=f"medical-2020-{someone}", person_id=someone, insurance=Insurance.MEDICAL, year=2020,
                campaign=CAMPAIGN, division=here, route=Route.HUKOU, period_from=dt.date(2020, 1, 1),
                period_to=dt.date(2020, 12, 31), pack_id=pack["pack_id"], pack_digest=pack["pack_digest"],
            )
        ]  # fmt: skip


def _vouchers(count: int) -> Rows:
    """Issued, debited and remitted; 500 lines each."""
    for start in range(0, count, VOUCHER_LINES):
        name = f"V-{start:07d}"
        numbers = range(start, min(count, start + VOUCHER_LINES))
        lines = [
            t.VoucherLine(f"WECHAT-T{n:09d}/1", person(n), village(n), "person", FEN, FEN, AT)
            for n in numbers
        ]
        half = len(lines) // 2
        fen = FEN * len(lines)
        yield f"voucher:{name}", 0, [
            t.VoucherLines(voucher_no=name, part=1, lines=tuple(lines[:half])),
            t.VoucherLines(voucher_no=name, part=2, lines=tuple(lines[half:])),
            t.TaxVoucherIssued(
                voucher_no=name, campaign=CAMPAIGN, village="", insurance=Insurance.MEDICAL, year=2020,
                source="CHANNEL", origin=f"WECHAT:{start}", count=len(lines), fen=fen,
            ),
            t.FundsDebited(voucher_no=name, method="FILE", bank_ref=f"B{start}", fen=fen, at=AT),
            t.FundsRemitted(voucher_no=name, batch=f"R{start}", at=AT),
        ]  # fmt: skip


async def _copy(site: Site, service: str, types: Any, streams: Rows) -> None:
    """Into the log; the relay begins behind it, as all of it was told before."""
    rows: list[tuple[Any, ...]] = []
    connection = await asyncpg.connect(site.postgres.url(service), timeout=10)

    async def flush() -> None:
        await connection.copy_records_to_table(
            "events", schema_name="platform", records=rows, columns=COLUMNS
        )
        rows.clear()

    try:
        number = 0
        for stream, era, events in streams:
            for version, event in enumerate(events, 1):
                name, schema, data = types.encode(event)
                number += 1
                rows.append((uuid.UUID(int=(3 << 100) + number), era, stream, version, name, schema, data.decode(),
                             METADATA, AT, AT, AT))  # fmt: skip
            if len(rows) >= 10_000:
                await flush()
        await flush()
        await connection.execute("ANALYZE platform.events")
        await connection.execute(
            "INSERT INTO platform.checkpoints (name, position, step) "
            "SELECT $1, max(position), 0 FROM platform.events "
            "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            CURSOR,
        )
    finally:
        await connection.close()


async def _caught_up(site: Site) -> None:
    """Read models, reactions and consumers have seen what was copied."""
    deadline = time.perf_counter() + WAIT_SECONDS
    for service in ("registration", "collection"):
        connection = await asyncpg.connect(site.postgres.url(service), timeout=10)
        try:
            head = await connection.fetchval("SELECT max(position) FROM platform.events")
            least, before = 0, -1
            while time.perf_counter() < deadline and not (least >= head or least == before):
                before = least
                await asyncio.sleep(2.0)
                least = await connection.fetchval(
                    "SELECT coalesce(max(position), 0) FROM platform.checkpoints WHERE name LIKE 'projection:%'"
                )
        finally:
            await connection.close()


async def _upload(port: int, token: str, lines: int) -> None:
    """One row per voucher: entered, the amount of its lines."""
    rows = [
        {
            "voucher_no": f"V-{start:07d}", "step": "in-treasury", "date": "2019-11-01",
            "amount_fen": FEN * min(VOUCHER_LINES, lines - start),
        }
        for start in range(0, lines, VOUCHER_LINES)
    ]  # fmt: skip
    content = b"\n".join(msgspec.json.encode(row) for row in rows)
    headers = {
        "Authorization": f"Bearer {token}", "Idempotency-Key": "treasury", "Content-Type": "application/x-ndjson",
    }  # fmt: skip
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        address = f"http://127.0.0.1:{port}/vouchers:import"
        (await client.post(address, content=content, headers=headers)).raise_for_status()
