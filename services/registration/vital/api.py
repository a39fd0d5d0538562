"""Routes of deaths and households."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body, Division, Number, PersonId
from services.registration.vital.handlers import Vitals
from services.registration.vital.queries import VitalQueries
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.fields import Count, Day
from shared.web.idempotency import idempotency_key, required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("registration:vital:read"))]
Writer = Annotated[Principal, Depends(authorised("registration:vital:write"))]
Find = Callable[[str], Awaitable[str | None]]
FindMany = Callable[[Connection, Sequence[str]], Awaitable[dict[str, str]]]
Source = Annotated[str, Field(pattern="^(CIVIL_AFFAIRS|POLICE)$", examples=["CIVIL_AFFAIRS"])]
Month = Annotated[str, Field(pattern=r"^\d{4}-\d{2}$", examples=["2019-11"])]


class DeathBody(Body):
    """死亡信息 / a death, of a person id or a number."""

    person_id: PersonId = ""
    number: Number = ""
    date: Day = Field(examples=["2019-11-20"])
    source: Source
    batch_month: Month

    @model_validator(mode="after")
    def _one_of_both(self) -> DeathBody:
        if bool(self.person_id) == bool(self.number):
            raise ValueError("person_id or number")
        return self


class DeathCorrectionBody(Body):
    """死亡信息更正 / another date, or none: the report is withdrawn."""

    date: Day | None = Field(None, examples=["2019-11-21"])
    source: Source


class DeathBatchBody(Body):
    """每月通报 / a source has reported for a month, be it nobody."""

    source: Source
    month: Month
    count: Count = Field(ge=0, examples=[3])


class HukouBody(Body):
    """户籍变更；不填新户籍地为销户 / a move, or a cancelled registration when no place is given."""

    person_id: PersonId
    date: Day = Field(examples=["2019-11-20"])
    hukou_division: Division | None = None


class DeathRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a death list."""

    date: dt.date
    source: str
    batch_month: str
    person_id: str = ""
    number: str = ""

    def __repr__(self) -> str:
        return "DeathRow(***)"


def deaths_import(vitals: Vitals, find_many: FindMany) -> ImportKind[DeathRow]:
    """A month's list of a source; people are found by number, a slice at a time."""

    async def prepare(rows: Sequence[DeathRow], connection: Connection) -> dict[str, str]:
        return await find_many(connection, [row.number for row in rows if row.number])

    def to_command(row: DeathRow, context: ImportContext) -> Command | Refusal:
        person_id = row.person_id or context.prepared.get(row.number, "")
        if not person_id:
            return Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="number")
        return vitals.report_death_command(
            person_id, row.date, row.source, row.batch_month, context.metadata, context.key
        )

    return ImportKind(
        "deaths",
        DeathRow,
        to_command,
        {"公民身份号码": "number", "死亡日期": "date", "来源": "source", "通报月份": "batch_month"},
        prepare,
    )


def router(
    vitals: Vitals, queries: VitalQueries, find: Find, ports: Ports, upload: ImportKind[Any]
) -> APIRouter:
    """Routes under ``/deaths`` and ``/hukou-changes``."""
    routes = APIRouter(tags=["vital 死亡与户籍"])
    _death_routes(routes, vitals, find)
    _list_routes(routes, vitals, ports, upload)

    @routes.get("/deaths/{person_id}", summary="死亡信息 / What each source reports")
    async def deaths(person_id: str, caller: Reader) -> Response:
        return json_response({"items": await queries.deaths(person_id)})

    @routes.post("/hukou-changes", status_code=201, summary="户籍变更、销户 / Move or cancel a hukou")
    async def hukou(request: Request, caller: Writer, body: HukouBody) -> Response:
        key = required_key(request, caller, "change_hukou", body)
        return answer(
            await vitals.change_hukou(
                body.person_id, body.hukou_division, body.date, metadata(request, caller), key
            )
        )

    return routes


def _death_routes(routes: APIRouter, vitals: Vitals, find: Find) -> None:
    @routes.post("/deaths", status_code=201, summary="死亡信息通报 / Report a death")
    async def report(request: Request, caller: Writer, body: DeathBody) -> Response:
        key = required_key(request, caller, "report_death", body)
        person_id = body.person_id or await find(body.number)
        if not person_id:
            raise ProblemError(Refusal("NOT_FOUND", rule="PERSON_UNKNOWN", field="number"))
        return answer(
            await vitals.report_death(
                person_id, body.date, body.source, body.batch_month, metadata(request, caller), key
            )
        )

    @routes.post("/deaths/{person_id}:correct", summary="死亡信息更正 / Correct or withdraw a report")
    async def correct(
        request: Request, caller: Writer, person_id: str, body: DeathCorrectionBody
    ) -> Response:
        parsed = [person_id, body.model_dump(mode="json")]
        key = idempotency_key(request, caller, "correct_death", parsed, required=False)
        return answer(
            await vitals.correct_death(person_id, body.date, body.source, metadata(request, caller), key)
        )


def _list_routes(routes: APIRouter, vitals: Vitals, ports: Ports, upload: ImportKind[Any]) -> None:
    @routes.post("/deaths:import", status_code=202, summary="死亡名单 / A month's list of deaths")
    async def import_deaths(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, upload)

    @routes.post("/death-batches", status_code=201, summary="每月通报 / A source has reported a month")
    async def batch(request: Request, caller: Writer, body: DeathBatchBody) -> Response:
        key = required_key(request, caller, "receive_death_batch", body)
        return answer(
            await vitals.receive_batch(body.source, body.month, body.count, metadata(request, caller), key)
        )
