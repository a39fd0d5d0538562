"""The production composition on a real PostgreSQL and the embedded broker, through ASGI."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from deploy.local.keys import ensure_keys
from deploy.local.postgres import PostgresServer, server_for
from deploy.local.processes import leash
from shared.contracts.registration import DeathReportOverdueV1
from shared.eventstore.commands import Accepted, Append, Command, RowWrite
from shared.eventstore.database import Connection
from shared.eventstore.migrate import GRANTS_SQL
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes
from shared.kernel.events import DayBegun, Event
from shared.security.principal import Principal
from shared.security.vault import PersonalIdentity
from shared.web import tables
from shared.web.assemble import production_app
from shared.web.auth import authorised
from shared.web.migrating import migrate_service
from shared.web.responses import answer, json_response
from shared.web.service import Ports, ServiceDefinition, ServiceDescription
from shared.web.settings import ServiceSettings
from tests.unit.observability.collector import collecting

pytestmark = pytest.mark.postgres


class NoteTaken(Event, frozen=True, kw_only=True):
    text: str


NOTES = Category("note", 0, lambda state, _: state + 1)
metadata = sa.MetaData()
NOTE_COUNT = sa.Table(
    "note_count",
    metadata,
    sa.Column("text", sa.Text, primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
)


class CountNotes:
    name = "note_count"
    tables = (NOTE_COUNT,)
    handles: ClassVar = (NoteTaken,)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await connection.upsert(
            NOTE_COUNT, [{"text": one.event.text, "times": 1} for one in events], add=("times",)
        )


class TellOverdue:
    name = "overdue"
    handles: ClassVar = (DayBegun,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[DeathReportOverdueV1]:
        return [DeathReportOverdueV1(source="POLICE", month=f"{recorded.event.day:%Y-%m}")]


WRITES = Depends(authorised("registration:notes:write"))
READS = Depends(authorised("registration:notes:read"))


def describe_writer(ports: Ports) -> ServiceDescription:
    router = APIRouter()

    @router.post("/notes/{text}", summary="记录 / Take a note")
    async def take(text: str, _: Annotated[Principal, WRITES]) -> Response:
        stream = NOTES.stream(text)
        row = RowWrite(ports.vault.table, ports.vault.seal_row(text, PersonalIdentity("王明")))
        command = Command(
            "take_note",
            [stream],
            lambda loaded: Accepted(
                [Append(stream, [NoteTaken(text=text)])], rows=[row], response={"n": loaded.state(stream) + 1}
            ),
            metadata=Metadata("test"),
        )
        return answer(await ports.store.execute(command))

    @router.get("/notes", summary="记录数 / Count notes")
    async def count(_: Annotated[Principal, READS]) -> Response:
        async with ports.database.read() as connection:
            rows = await connection.execute(sa.select(NOTE_COUNT))
        return json_response({row.text: row.times for row in rows})

    return ServiceDescription([router], projections=[CountNotes()], publications=[TellOverdue()])


WRITER = ServiceDefinition(
    "registration", "登记", EventTypes([DayBegun, NoteTaken]), describe_writer, metadata=[metadata]
)
READER = ServiceDefinition(
    "notification",
    "通知",
    EventTypes([DayBegun], [DeathReportOverdueV1]),
    lambda _: ServiceDescription(),
    receives=[DeathReportOverdueV1],
)
ORGANISATIONS = """
clients:
- client_id: ops
  client_secret: pass
  organisation: ops
  scopes: [ops, events:read, "registration:notes:write", "registration:notes:read"]
  divisions: [""]
"""


@pytest.fixture
def make_settings(database_factory: Any, tmp_path: Path) -> Any:
    keys = ensure_keys(tmp_path / "keys.json")
    organisations = tmp_path / "organisations.yaml"
    organisations.write_text(ORGANISATIONS)
    broker = database_factory()

    def make(**changes: Any) -> ServiceSettings:
        values = {
            "database_url": changes.pop("database_url", None) or database_factory(),
            "broker_url": broker,
            "keys": keys,
            "organisations": organisations,
            "rehearsal": True,
        }
        return ServiceSettings(**{**values, **changes})

    return make


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://t") as c,
    ):
        granted = await c.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "client_id": "ops", "client_secret": "pass"},
        )
        c.headers["Authorization"] = f"Bearer {granted.json()['access_token']}"
        yield c


async def eventually(client: httpx.AsyncClient, path: str, holds: Any) -> httpx.Response:
    async with asyncio.timeout(30):
        while True:
            response = await client.get(path)
            if holds(response):
                return response
            await asyncio.sleep(0.05)


async def test_a_write_is_read_back_at_its_position(make_settings: Any) -> None:
    """Commit, project, wait for the position, see it in lag, metrics and readiness."""
    async with served(production_app(WRITER, make_settings())) as client:
        assert (await client.get("/readyz")).json()["rehearsal"] is True
        for _ in range(2):
            written = await client.post("/notes/a")
            assert (written.status_code, "Log-Position" in written.headers) == (201, True)
        read = await client.get("/notes", headers={"Min-Log-Position": written.headers["Log-Position"]})
        assert read.json() == {"a": 2}
        metrics = (await client.get("/metrics")).text
        assert (
            'liangxian_commands_total{command="take_note",outcome="accepted",service="registration"} 2.0'
            in metrics
        )
        assert 'route="/notes/{text}"' in metrics
        missing = await client.get("/notes", headers={"Min-Log-Position": "999"})
        assert (missing.status_code, missing.headers["Retry-After"]) == (503, "1")


async def test_a_day_begun_here_arrives_there_and_everything_drains(make_settings: Any) -> None:
    """BeginDay → relay → broker → the other service's log; ``drained`` says when to go on."""
    writer, reader = make_settings(), make_settings()
    async with (
        served(production_app(WRITER, writer)) as sender,
        served(production_app(READER, reader)) as receiver,
    ):
        begun = await sender.post("/ops/begin-day", json={"date": "2019-12-06"})
        assert begun.json() == {"date": "2019-12-06", "begun": ["2019-12-06"]}
        await eventually(sender, "/ops/lag", lambda r: r.json()["drained"])
        lag = await eventually(
            receiver, "/ops/lag", lambda r: r.json()["log_position"] == 1 and r.json()["drained"]
        )
        assert [topic["topic"] for topic in lag.json()["topics"]] == ["registration.vital.v1"]
        events = (await sender.get("/events")).json()
        assert [one["type"] for one in events["items"]] == ["liangxian.registration.death_report_overdue.v1"]


async def test_a_simulated_clock_stands_where_it_stood_after_a_restart(make_settings: Any) -> None:
    """Persisted with the event: missed days are begun in order, the same date again begins nothing."""
    settings = make_settings()
    async with served(production_app(WRITER, settings)) as client:
        await client.post("/ops/begin-day", json={"date": "2019-12-30"})
    async with served(production_app(WRITER, settings)) as client:
        assert (await client.get("/readyz")).json()["today"] == "2019-12-30"
        later = await client.post("/ops/begin-day", json={"date": "2020-01-02"})
        assert later.json()["begun"] == ["2019-12-31", "2020-01-01", "2020-01-02"]
        again = await client.post("/ops/begin-day", json={"date": "2020-01-01"})
        assert again.json()["begun"] == []


async def test_a_wall_clock_begins_its_days_itself_and_refuses_the_future(make_settings: Any) -> None:
    async with served(production_app(WRITER, make_settings(rehearsal=False))) as client:
        await eventually(client, "/ops/lag", lambda r: r.json()["log_position"] == 1)
        future = (dt.date.today() + dt.timedelta(days=3)).isoformat()  # noqa: DTZ011 - any day well ahead
        refused = await client.post("/ops/begin-day", json={"date": future})
        assert (refused.status_code, refused.json()["rule"]) == (409, "DAY_IN_THE_FUTURE")


async def test_a_broker_that_is_away_shows_and_writes_go_on(make_settings: Any) -> None:
    """The log does not need the broker; readiness does."""
    away = make_settings(broker_url="postgresql://nobody@127.0.0.1:1/none")
    async with served(production_app(WRITER, away)) as client:
        await eventually(client, "/readyz", lambda r: r.status_code == 503)
        assert (await client.post("/notes/a")).status_code == 201


async def test_an_api_process_serves_what_a_worker_projects(make_settings: Any) -> None:
    """Roles scale apart on one database; the API's clock follows the day the worker's process began."""
    api = make_settings(roles="api")
    worker = make_settings(roles="worker", database_url=api.database_url)
    async with (
        served(production_app(WRITER, api)) as client,
        served(production_app(WRITER, worker)) as other,
    ):
        written = await client.post("/notes/b")
        told = 'liangxian_projection_lag_seconds{projection="note_count",service="registration"} 0.0'
        await eventually(client, "/metrics", lambda r: told in r.text)
        read = await client.get("/notes", headers={"Min-Log-Position": written.headers["Log-Position"]})
        assert read.json() == {"b": 1}
        await other.post("/ops/begin-day", json={"date": "2019-12-06"})
        await eventually(client, "/readyz", lambda r: r.json()["today"] == "2019-12-06")


async def test_a_process_sends_its_spans_where_the_setting_says(make_settings: Any) -> None:
    """Requests but no probes; all of them at the latest when the process ends."""
    with collecting() as collector:
        traced = make_settings(traces_url=collector.url, traces_share=1.0)
        async with served(production_app(WRITER, traced)) as client:
            answered = await client.post("/notes/a")
            await client.get("/readyz")
        spans = [span for each in collector.received() for scope in each.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {"POST /oauth/token", "POST /notes/{text}"}
    [note] = [span for span in spans if span.name.startswith("POST /notes")]
    assert note.trace_id.hex() == answered.headers["X-Correlation-Id"].replace("-", "")


async def test_migrated_tables_are_the_ones_statements_use(database_url: str) -> None:
    """``migrations/*.sql`` against ``tables.py``: same columns, same types, same nullability."""
    await migrate_service(WRITER, database_url, database_url)
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name, data_type, is_nullable = 'YES' AS nullable"
            " FROM information_schema.columns WHERE table_schema = 'platform'"
        )
    finally:
        await connection.close()
    kinds = {"TEXT": "text", "BLOB": "bytea", "INTEGER": "integer", "BIGINT": "bigint", "DATE": "date"}
    found = {(r["table_name"], r["column_name"]): (r["data_type"], r["nullable"]) for r in rows}
    for table in tables.metadata.tables.values():
        for column in table.columns:
            kind = kinds.get(str(column.type), "timestamp with time zone")
            assert found[table.name, column.name] == (kind, bool(column.nullable)), (table.name, column.name)


async def test_a_restricted_role_can_run_the_service(
    postgres: Any, database_factory: Any, make_settings: Any
) -> None:
    """The service's role owns nothing: it may append through functions and write read models, no more."""
    assert "append_events" in GRANTS_SQL
    url = database_factory()
    name = url.rsplit("/", 1)[1].split("?")[0]
    await postgres.create_role(f"{name}_svc", "secret")
    service_url = postgres.url(name, role=f"{name}_svc", password="secret")
    owner = await asyncpg.connect(url)
    await owner.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES"
        f' TO "{name}_svc"'
    )
    await owner.close()
    settings = make_settings(database_url=service_url, migrate_url=url)
    async with served(production_app(WRITER, settings)) as client:
        written = await client.post("/notes/c")
        assert written.status_code == 201, written.text
        await client.post("/ops/begin-day", json={"date": "2019-12-06"})
        read = await client.get("/notes", headers={"Min-Log-Position": written.headers["Log-Position"]})
        assert read.json() == {"c": 1}
        assert (await client.get("/readyz")).status_code == 200, json.dumps(
            (await client.get("/readyz")).json()
        )


async def test_a_database_that_went_away_is_a_503_and_comes_back(tmp_path: Path, make_settings: Any) -> None:
    """The server stops under a running service: retry later, not an internal error; then all is well."""
    server = server_for(tmp_path / "cluster")
    if not isinstance(server, PostgresServer):
        pytest.skip("a server of its own is needed: this one belongs to somebody else")
    await server.start()
    running = server.running()
    let_go = leash(running.pid) if running is not None else None
    await server.create_database("notes")
    try:
        async with served(production_app(WRITER, make_settings(database_url=server.url("notes")))) as client:
            assert (await client.post("/notes/a")).status_code == 201
            await server.stop()
            away = [await client.get("/notes") for _ in range(3)]
            assert [answer.status_code for answer in away] == [503] * 3
            assert away[-1].json()["code"] == "NOT_READY"
            assert (await client.get("/readyz")).status_code == 503
            scraped = await client.get("/metrics")
            assert scraped.status_code == 200
            refused = 'liangxian_refusals_total{code="NOT_READY",service="registration"}'
            assert f"\n{refused} 0.0\n" in scraped.text, "reads are no refused writes"
            assert (await client.post("/notes/a")).json()["code"] == "NOT_READY"
            assert f"\n{refused} 1.0\n" in (await client.get("/metrics")).text
            assert 'liangxian_faults{service="registration"} 0.0' not in scraped.text
            await server.start()
            await eventually(client, "/readyz", lambda r: r.status_code == 200)
            await eventually(
                client, "/metrics", lambda r: '\nliangxian_faults{service="registration"} 0.0' in r.text
            )
            assert (await client.post("/notes/a")).status_code == 201
            await eventually(client, "/notes", lambda r: r.status_code == 200 and r.json() == {"a": 2})
    finally:
        await server.stop()
        if let_go is not None:
            let_go()
        server.destroy()
