"""Routes of enrolments and collecting units."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body, PersonId, Village, Year
from services.registration.enrolment.domain import RegisterEnrolment, parse_record_no
from services.registration.enrolment.events import Route
from services.registration.enrolment.handlers import Enrolments
from services.registration.enrolment.queries import EnrolmentQueries
from shared.eventstore.commands import Command
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.fields import Day
from shared.web.idempotency import idempotency_key, required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.requests import metadata
from shared.web.responses import answer, json_response
from shared.web.service import Ports

Reader = Annotated[Principal, Depends(authorised("registration:enrolment:read"))]
Writer = Annotated[Principal, Depends(authorised("registration:enrolment:write"))]


class EnrolmentBody(Body):
    """参保登记 / enrol; the period defaults to the calendar year, the route to what fits."""

    person_id: PersonId
    insurance: Insurance
    year: Year
    route: Route | None = None
    period_from: Day | None = Field(None, examples=["2020-01-01"])
    period_to: Day | None = Field(None, examples=["2020-12-31"])


class CancelBody(Body):
    """注销登记 / cancel."""

    reason: str = Field(min_length=1, max_length=40, pattern=r"^[A-Z_]+$", examples=["MOVED_AWAY"])


class CollectingUnitBody(Body):
    """委托代收单位 / a unit that collects for a village."""

    unit_id: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_-]+$", examples=["U-101201"])
    name: str = Field(min_length=1, max_length=80, examples=["店子镇示例村村民委员会"])
    village: Village


def enrolments_import(enrolments: Enrolments) -> ImportKind[RegisterEnrolment]:
    """Rows are the bodies of POST /enrolments."""

    def to_command(row: RegisterEnrolment, context: ImportContext) -> Command | Refusal:
        return enrolments.register_command(row, context.metadata, context.key, context.covers)

    return ImportKind(
        "enrolments",
        RegisterEnrolment,
        to_command,
        {"人员编号": "person_id", "险种": "insurance", "年度": "year"},
        answers="record_no",
    )


def router(
    enrolments: Enrolments, queries: EnrolmentQueries, ports: Ports, upload: ImportKind[Any]
) -> APIRouter:
    """Routes under ``/enrolments`` and ``/collecting-units``."""
    routes = APIRouter(tags=["enrolment 参保登记"])
    _write_routes(routes, enrolments, ports, upload)

    @routes.get("/enrolments", summary="参保登记查询 / A person's enrolments")
    async def of_person(
        caller: Reader, person_id: Annotated[str, Query(min_length=1, max_length=64)]
    ) -> Response:
        items = await queries.of_person(person_id)
        for item in items:
            require_division(caller, item["division"], "person_id")
        return json_response({"items": items})

    @routes.get("/enrolments/summary", summary="参保登记汇总 / Counts per insurance and status")
    async def summary(
        caller: Reader,
        year: Annotated[int, Query(ge=2000, le=2100)],
        division: Annotated[str, Query(pattern=r"^(\d{6}(\d{3}(\d{3})?)?)$")],
    ) -> Response:
        require_division(caller, division)
        return json_response({"items": await queries.summary(year, division)})

    return routes


def _write_routes(routes: APIRouter, enrolments: Enrolments, ports: Ports, upload: ImportKind[Any]) -> None:
    @routes.post("/enrolments", status_code=201, summary="参保登记 / Enrol a person")
    async def register(request: Request, caller: Writer, body: EnrolmentBody) -> Response:
        key = required_key(request, caller, "register_enrolment", body)
        given = msgspec.convert(body.model_dump(), RegisterEnrolment)
        return answer(await enrolments.register(given, metadata(request, caller), key, caller.covers))

    @routes.post("/enrolments:import", status_code=202, summary="批量参保登记 / Enrol people from a file")
    async def import_enrolments(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, upload)

    @routes.post("/enrolments/{record_no}:cancel", summary="注销登记 / Cancel an enrolment")
    async def cancel(request: Request, caller: Writer, record_no: str, body: CancelBody) -> Response:
        parts = parse_record_no(record_no)
        if parts is None:
            raise ProblemError(Refusal("NOT_FOUND", rule="NOT_ENROLLED", field="record_no"))
        key = idempotency_key(request, caller, "cancel_enrolment", [record_no, body.reason], required=False)
        return answer(
            await enrolments.cancel(*parts, body.reason, metadata(request, caller), key, caller.covers)
        )

    @routes.post("/collecting-units", status_code=201, summary="委托代收单位 / Send a collecting unit")
    async def unit(request: Request, caller: Writer, body: CollectingUnitBody) -> Response:
        require_division(caller, body.village, "village")
        key = required_key(request, caller, "transmit_collecting_unit", body)
        return answer(
            await enrolments.transmit_unit(
                body.unit_id, body.name, body.village, metadata(request, caller), key
            )
        )
