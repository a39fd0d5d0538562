"""An open campaign with as many assessed people as a measurement pays for."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from services.collection.app import TYPES
from services.collection.obligations import events as e
from shared.kernel.clock import SHANGHAI
from shared.kernel.insurance import Insurance, Leg, Payer
from tests.benchmarks.rig.site import Site

CAMPAIGN = "370406-2020"
TODAY = "2019-11-02"
FEN = 26_000
VILLAGES = 200
COPY_ROWS = 20_000


def person(number: int) -> str:
    """Random as ids are, the same in every run."""
    return hashlib.md5(f"bench-{number}".encode(), usedforsecurity=False).hexdigest()


def village(number: int) -> str:
    """A village of the district, 200 in all."""
    return f"370406{101 + number % VILLAGES // 20:03d}{201 + number % 20:03d}"


async def open_campaign(port: int, token: str) -> dict[str, Any]:
    """Campaign 370406-2020 with pack ST-2020, on a day of its collection phase; answers the pack."""
    headers = {"Authorization": f"Bearer {token}"}
    address = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60, trust_env=False) as client:

        async def post(path: str, body: Any) -> Any:
            response = await client.post(path, json=body, headers={"Idempotency-Key": f"bench-{path}"})
            if response.is_error:
                raise RuntimeError(f"{path} answered {response.status_code}: {response.text}")
            position = response.headers.get("Log-Position", "0")
            (await client.get("/healthz", headers={"Min-Log-Position": position})).raise_for_status()
            return response.json()

        await post("/ops/begin-day", {"date": "2019-10-26"})
        await post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"})
        await post("/packs/ST-2020:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
        await post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"})
        await post("/ops/begin-day", {"date": TODAY})
        ready = (await client.get("/readyz")).json()
        digest = str(ready["packs"]["ST-2020/1"])
    return {"pack_id": "ST-2020", "pack_version": 1, "pack_digest": digest}


async def assess(site: Site, first: int, count: int, pack: dict[str, Any]) -> None:
    """``count`` people assessed, by COPY into the log as the assessment's pages would write them."""
    connection = await asyncpg.connect(site.postgres.url("collection"), timeout=10)
    try:
        for start in range(first, first + count, COPY_ROWS):
            rows = list(_rows(start, min(COPY_ROWS, first + count - start), pack))
            await connection.copy_records_to_table(
                "events", schema_name="platform", records=rows,
                columns=["event_id", "era", "stream", "version", "type", "schema", "data", "metadata",
                         "occurred_at", "recorded_at", "appended_at"],
            )  # fmt: skip
        await connection.execute("ANALYZE platform.events")
    finally:
        await connection.close()


def _rows(first: int, count: int, pack: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    at = dt.datetime(2019, 10, 26, 9, tzinfo=SHANGHAI)
    metadata = f'{{"correlation":"bench","campaign":"{CAMPAIGN}","pack":"{pack["pack_id"]}"}}'
    for number in range(first, first + count):
        event = e.ContributionAssessed(
            assessment_id=f"2020-medical-{person(number)}-1",
            version=1,
            person_id=person(number),
            insurance=Insurance.MEDICAL,
            year=2020,
            campaign=CAMPAIGN,
            village=village(number),
            birth=dt.date(1975, 5, 1),
            standard_fen=FEN,
            legs=(Leg(Payer.PERSON, FEN),),
            **pack,
        )
        name, schema, data = TYPES.encode(event)
        stream = f"obligation:2020:medical:{person(number)}"
        yield (uuid.UUID(int=(1 << 100) + number), 2020, stream, 1, name, schema, data.decode(), metadata,
               at, at, at)  # fmt: skip


def write_payments(file: Path, first: int, count: int, mark: str) -> Path:
    """Requests for ``rig.load``: one payment per person, each with an order number of its own."""
    body = {
        "order_no": "", "channel": "WECHAT", "paid_at": "2019-11-02T10:15:00+08:00",
        "lines": [{"person_id": "", "year": 2020, "insurance": "medical", "amount_fen": FEN}],
    }  # fmt: skip
    lines: list[Any] = body["lines"]  # type: ignore[assignment]
    with file.open("wb") as out:
        for number in range(first, first + count):
            body["order_no"] = f"{mark}{number:09d}"
            lines[0]["person_id"] = person(number)
            out.write(b"%s\t%s\n" % (str(body["order_no"]).encode(), msgspec.json.encode(body)))
    return file
