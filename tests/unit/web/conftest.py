"""A small service with a route of every kind, to test the edge with."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from shared.eventstore.commands import Accepted, Append, Command, Guard, Loaded
from shared.eventstore.database import Connection
from shared.eventstore.streams import Category
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes
from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.kernel.events import DayBegun, Event
from shared.security.principal import Principal
from shared.testing.service import MemoryService, memory_service
from shared.web.auth import authorised, caller, require_division
from shared.web.idempotency import idempotency_key, required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.paging import DEFAULT_LIMIT, After, Limit, keyset, paged
from shared.web.requests import metadata as request_metadata
from shared.web.requests import parsed
from shared.web.responses import answer, json_response
from shared.web.service import Ports, ServiceDefinition, ServiceDescription, ThinRoute

WRITE = "registration:notes:write"
READ = "registration:notes:read"


class NoteTaken(Event, frozen=True, kw_only=True):
    text: str
    division: str


NOTES: Category[int] = Category("note", 0, lambda state, _: state + 1)
metadata = sa.MetaData()
NOTE = sa.Table(
    "note", metadata, sa.Column("text", sa.Text, primary_key=True), sa.Column("division", sa.Text)
)


class NoteList:
    name = "notes"
    tables = (NOTE,)
    handles: ClassVar = (NoteTaken,)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await connection.upsert(
            NOTE, [{"text": one.event.text, "division": one.event.division} for one in events]
        )


class NoteBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=20)
    division: str = "370406"
    on: dt.date | None = None
    tags: dict[str, int] = {}


class NoteRow(msgspec.Struct, frozen=True):
    text: str
    division: str = "370406"
    times: int = 1


def note_command(text: str, division: str, **options: Any) -> Command:
    stream = NOTES.stream(text)
    taken = Refusal("ALREADY_EXISTS", rule="NOTE", field="text")

    def decide(loaded: Loaded) -> Accepted | Refusal:
        if text == "refused":
            return Refusal("TIER_NOT_ALLOWED", rule="TIER", clause="002:L69", field="text")
        if text == "broken":
            raise ValueError(f"broken by {text} 370406199001019997")
        event = NoteTaken(text=text, division=division)
        return Accepted(
            [Append(stream, [event])],
            [Guard("note", text, "holder", taken)],
            response={"text": text, "version": loaded.version(stream) + 1},
        )

    return Command("take_note", [stream], decide, **options)


def row_command(row: NoteRow, context: ImportContext) -> Command | Refusal:
    if not context.covers(row.division):
        return Refusal("DIVISION_FORBIDDEN", field="division")
    return note_command(row.text, row.division, metadata=context.metadata, key=context.key)


NOTE_IMPORT = ImportKind("notes", NoteRow, row_command, {"内容": "text", "区划": "division", "次数": "times"})

Writer = Annotated[Principal, Depends(authorised(WRITE))]
Reader = Annotated[Principal, Depends(authorised(READ))]


def router_of(ports: Ports) -> APIRouter:
    router = APIRouter(tags=["notes"])

    @router.post("/notes", summary="记录 / Take a note", status_code=201)
    async def take(request: Request, body: NoteBody, principal: Writer) -> Response:
        require_division(principal, body.division)
        command = note_command(
            body.text,
            body.division,
            metadata=request_metadata(request, principal),
            key=required_key(request, principal, "take_note", body),
        )
        return answer(await ports.store.execute(command), location=f"/notes/{body.text}")

    @router.get("/notes", summary="列表 / List notes")
    async def listed(_: Reader, after: After = "", limit: Limit = DEFAULT_LIMIT) -> Response:
        async with ports.database.read() as connection:
            rows = await connection.execute(keyset(sa.select(NOTE), [NOTE.c.text], after, limit))
        return json_response(paged(rows, limit, lambda row: row.text, lambda row: [row.text]))

    @router.post("/notes:import", summary="导入 / Import notes", status_code=202)
    async def imported(request: Request, principal: Writer) -> Response:
        return await accept_upload(request, principal, ports, NOTE_IMPORT)

    @router.get("/overloaded", summary="过载 / Overloaded")
    async def overloaded(_: Reader) -> Response:
        raise OverloadedError(7)

    @router.get("/problem", summary="问题 / Problem")
    async def problem(_: Reader) -> Response:
        raise ProblemError(Refusal("PERSON_DECEASED"))

    return router


def thin_of(ports: Ports) -> ThinRoute:
    async def thin(request: Request) -> Response:
        principal = caller(request, WRITE)
        row = await parsed(request, NoteRow, 4096)
        command = note_command(
            row.text,
            row.division,
            metadata=request_metadata(request, principal),
            key=idempotency_key(request, principal, "thin_note", row, required=False),
        )
        return answer(await ports.store.execute(command))

    operation = {"summary": "快速记录 / Take a note fast", "x-scope": WRITE, "responses": {"201": {}}}
    return ThinRoute("POST", "/thin", thin, operation)


def describe(ports: Ports) -> ServiceDescription:
    ports.imports.register(NOTE_IMPORT)
    return ServiceDescription([router_of(ports)], [thin_of(ports)], projections=[NoteList()])


SERVICE = ServiceDefinition(
    "registration",
    "记录 / Notes",
    EventTypes([DayBegun, NoteTaken]),
    describe,
    metadata=[metadata],
)


@pytest.fixture
async def service() -> AsyncIterator[MemoryService]:
    async with memory_service(SERVICE) as made:
        yield made
