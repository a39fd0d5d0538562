"""Routes of the data entry and of the registration form."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.registration.bodies import Body, PersonId, Year
from services.registration.data_entry.domain import EnterLeg
from services.registration.data_entry.forms import EnrolledRows, registration_csv
from services.registration.data_entry.handlers import DataEntry
from services.registration.data_entry.queries import EntryQueries
from shared.eventstore.commands import Command
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.idempotency import required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("registration:data_entry:read"))]
Writer = Annotated[Principal, Depends(authorised("registration:data_entry:write"))]
IDENTITY_SCOPE = "registration:identity:read"


class EntryBody(Body):
    """信息录入 / enter one payer leg; government legs name their payer."""

    person_id: PersonId
    insurance: Insurance
    year: Year
    payer: str = Field("person", pattern="^(person|village|sponsor|department|finance)$")
    operator: str = Field("STATION", pattern="^(STATION|VILLAGE)$", description="录入人 / who enters")


def entries_import(entry: DataEntry) -> ImportKind[EnterLeg]:
    """Rows are the bodies of POST /entries."""

    def to_command(row: EnterLeg, context: ImportContext) -> Command | Refusal:
        return entry.enter_command(row, context.metadata, context.key, context.covers)

    return ImportKind(
        "entries",
        EnterLeg,
        to_command,
        {"人员编号": "person_id", "险种": "insurance", "年度": "year", "缴费方": "payer"},
        answers="person_id",
    )


def router(
    entry: DataEntry, queries: EntryQueries, ports: Ports, upload: ImportKind[Any], enrolled: EnrolledRows
) -> APIRouter:
    """Routes under ``/entries`` and ``/forms``."""
    routes = APIRouter(tags=["data entry 信息录入"])

    @routes.post("/entries", status_code=201, summary="信息录入 / Enter what was paid and arrived")
    async def enter(request: Request, caller: Writer, body: EntryBody) -> Response:
        key = required_key(request, caller, "enter_leg", body)
        given = msgspec.convert(body.model_dump(), EnterLeg)
        return answer(await entry.enter(given, metadata(request, caller), key, caller.covers))

    @routes.post("/entries:import", status_code=202, summary="批量录入 / Enter from a file")
    async def import_entries(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, upload)

    @routes.get("/entries/summary", summary="录入汇总 / Legs that may be entered, and those entered")
    async def summary(
        caller: Reader,
        campaign: Annotated[str, Query(max_length=16, examples=["370406101-2018"])],
        village: Annotated[str, Query(pattern=r"^(\d{6}(\d{3}(\d{3})?)?)?$")] = "",
    ) -> Response:
        require_division(caller, village or campaign.partition("-")[0], "village")
        return json_response({"items": await queries.summary(campaign, village)})

    @routes.get("/forms/registration.csv", summary="参保登记表 / The registration form of a village")
    async def registration_form(
        caller: Reader,
        village: Annotated[str, Query(pattern=r"^\d{12}$", examples=["370406101201"])],
        year: Annotated[int, Query(ge=2000, le=2100)],
    ) -> Response:
        require_division(caller, village, "village")
        with_names = caller.allows(IDENTITY_SCOPE)
        pieces = registration_csv(ports.database, ports.vault, enrolled, village, year, with_names=with_names)
        headers = {"Content-Disposition": f'attachment; filename="registration-{village}-{year}.csv"'}
        return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)

    return routes
