"""Registration on a real PostgreSQL and the embedded broker: migrated, registered, booked, rebuilt."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from deploy.local.keys import ensure_keys
from services.registration.app import SERVICE
from services.registration.settings import RegistrationSettings
from shared.eventstore.commands import BlindAppend, Page
from shared.eventstore.rebuild import rebuild
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Projection
from shared.web.assemble import production_app
from shared.web.migrating import migrate_service
from tests.unit.registration.scenery import SCOPES, VILLAGE, memory, number_of
from tests.unit.registration.test_booking import line, returned

pytestmark = pytest.mark.postgres

ORGANISATIONS = f"""
clients:
- client_id: hr
  client_secret: pass
  organisation: hr
  scopes: [ops, events:read, {", ".join(f'"{scope}"' for scope in SCOPES)}]
  divisions: [""]
"""


@pytest.fixture
def settings(database_factory: Any, tmp_path: Path) -> RegistrationSettings:
    """A fresh database, broker and key file."""
    organisations = tmp_path / "organisations.yaml"
    organisations.write_text(ORGANISATIONS, encoding="utf-8")
    return RegistrationSettings(
        database_url=database_factory(),
        broker_url=database_factory(),
        keys=ensure_keys(tmp_path / "keys.json"),
        organisations=organisations,
        rehearsal=True,
    )


async def eventually(client: httpx.AsyncClient, path: str, holds: Callable[[Any], bool]) -> Any:
    """The JSON of ``path`` once it holds, within 30 seconds."""
    async with asyncio.timeout(30):
        while True:
            response = await client.get(path)
            assert response.status_code in (200, 404, 503), response.text
            if response.status_code == 200 and holds(response.json()):
                return response.json()
            await asyncio.sleep(0.05)


def all_projections() -> list[Projection]:
    """Every read model of the service, found by what ``describe`` wires in memory."""
    return list(memory().description.projections)


async def post(client: httpx.AsyncClient, path: str, body: dict[str, Any], key: str) -> Any:
    """A POST that must be accepted."""
    response = await client.post(path, json=body, headers={"Idempotency-Key": key})
    assert response.status_code == 201, response.text
    return response.json()


async def test_a_person_is_registered_enrolled_transmitted_booked_and_covered(
    settings: RegistrationSettings,
) -> None:
    """Steps 1 and 7 on the production adapters; every read model equals its replay (I-30)."""
    app = production_app(SERVICE, settings)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://registration") as client,
    ):
        form = {"grant_type": "client_credentials", "client_id": "hr", "client_secret": "pass"}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        await client.post("/ops/begin-day", json={"date": "2019-10-15"})

        number = number_of(dt.date(1980, 5, 1), 2)
        body = {"name": "示例", "number": number, "division": VILLAGE, "hukou_division": VILLAGE}
        person_id = (await post(client, "/people", body, "p"))["person_id"]
        enrolment = {"person_id": person_id, "insurance": "medical", "year": 2020}
        await post(client, "/enrolments", enrolment, "e")
        listed = f"/enrolments?person_id={person_id}"
        await eventually(client, listed, lambda j: [i["status"] for i in j["items"]] == ["TRANSMITTED"])
        published = await eventually(client, "/events", lambda j: len(j["items"]) == 2)
        assert number not in str(published)

        ports = app.state.ports
        document = returned(line(person_id), line("nobody", number=2))
        name, _, data = ports.types.encode(document)
        blind = BlindAppend(
            "received:collection:collection.treasury.v1:V-1", name, data, Metadata("c"), ports.clock.now()
        )
        await ports.store.execute_page(Page((), None, [blind]))
        covered = await eventually(
            client, f"/people/{person_id}/entitlements", lambda j: len(j["medical"]) == 1
        )
        assert covered["medical"][0]["from_date"] == "2020-01-01"
        tasks = await eventually(client, "/tasks", lambda j: len(j["items"]) == 1)
        assert tasks["items"][0]["rule"] == "PERSON"
        await eventually(client, "/ops/lag", lambda j: j["drained"])
        for projection in all_projections():
            report = await rebuild(ports.log, ports.database, projection)
            assert report.equal, report


async def test_migrations_make_exactly_the_tables_the_code_uses(database_url: str) -> None:
    """Alembic's head against the metadata: same tables, columns and nullability."""
    await migrate_service(SERVICE, database_url, database_url)
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name, is_nullable = 'YES' AS nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'read_model_version'"
        )
        indexes = await connection.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    finally:
        await connection.close()
    tables: list[sa.Table] = [table for meta in SERVICE.metadata for table in meta.sorted_tables]
    expected = {
        (table.name, column.name, bool(column.nullable)) for table in tables for column in table.columns
    }
    assert {(row["table_name"], row["column_name"], row["nullable"]) for row in rows} == expected
    wanted = {index.name for table in tables for index in table.indexes}
    assert wanted <= {row["indexname"] for row in indexes}
