"""Routes of special assessments."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body, PersonId, Year
from services.registration.special_assessment.domain import AssessSpecialPayment
from services.registration.special_assessment.handlers import SpecialPayments
from shared.eventstore.commands import Command
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.fields import Count, Day
from shared.web.idempotency import required_key
from shared.web.imports import ImportContext, ImportKind
from shared.web.operations import accept_upload
from shared.web.requests import metadata
from shared.web.responses import answer
from shared.web.service import Ports

Writer = Annotated[Principal, Depends(authorised("registration:special_assessment:write"))]


class SpecialAssessmentBody(Body):
    """特殊缴费核定 / assess a payment outside the window: LATE 期外补缴, NEWBORN 新生儿缴费 (medical);
    INTERRUPTION 中断补缴, ARREARS 政策性补缴 (pension, a past year, with ``tier_yuan``)."""

    person_id: PersonId
    insurance: Insurance = Insurance.MEDICAL
    year: Year
    kind: str = Field("LATE", max_length=20, examples=["LATE"])
    paid_at: Day = Field(examples=["2020-02-10"], description="拟缴费日 / day of the payment")
    tier_yuan: Count | None = Field(
        None, ge=1, description="补缴档次 / pension tier of the year", examples=[300]
    )
    basis: str = Field("", max_length=100, description="依据文件 / the document it rests on")


def assessments_import(payments: SpecialPayments) -> ImportKind[AssessSpecialPayment]:
    """Rows are the bodies of POST /special-assessments."""

    def to_command(row: AssessSpecialPayment, context: ImportContext) -> Command | Refusal:
        return payments.assess_command(row, context.metadata, context.key, context.covers)

    columns = {
        "人员编号": "person_id",
        "险种": "insurance",
        "年度": "year",
        "类别": "kind",
        "拟缴费日": "paid_at",
        "档次": "tier_yuan",
        "依据": "basis",
    }
    return ImportKind(
        "special-assessments", AssessSpecialPayment, to_command, columns, answers="assessment_no"
    )


def router(payments: SpecialPayments, ports: Ports, upload: ImportKind[Any]) -> APIRouter:
    """``/special-assessments``."""
    routes = APIRouter(tags=["special assessment 特殊缴费核定"])

    @routes.post("/special-assessments", status_code=201, summary="特殊缴费核定 / Assess a late payment")
    async def assess(request: Request, caller: Writer, body: SpecialAssessmentBody) -> Response:
        key = required_key(request, caller, "assess_special_payment", body)
        given = msgspec.convert(body.model_dump(), AssessSpecialPayment)
        return answer(await payments.assess(given, metadata(request, caller), key, caller.covers))

    @routes.post(
        "/special-assessments:import",
        status_code=202,
        summary="批量特殊缴费核定 / Assess late payments of a file",
    )
    async def import_assessments(request: Request, caller: Writer) -> Response:
        return await accept_upload(request, caller, ports, upload)

    return routes
