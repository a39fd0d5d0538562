"""Routes of special assessments."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body, PersonId, Year
from services.registration.special_assessment.domain import AssessSpecialPayment
from services.registration.special_assessment.handlers import SpecialPayments
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.idempotency import required_key
from shared.web.requests import metadata
from shared.web.responses import answer

Writer = Annotated[Principal, Depends(authorised("registration:special_assessment:write"))]


class SpecialAssessmentBody(Body):
    """特殊缴费核定 / assess a payment outside the window; only kind LATE is supported."""

    person_id: PersonId
    insurance: Insurance = Insurance.MEDICAL
    year: Year
    kind: str = Field("LATE", max_length=20, examples=["LATE"])
    paid_at: dt.date = Field(examples=["2020-02-10"], description="拟缴费日 / day of the payment")


def router(payments: SpecialPayments) -> APIRouter:
    """``/special-assessments``."""
    routes = APIRouter(tags=["special assessment 特殊缴费核定"])

    @routes.post("/special-assessments", status_code=201, summary="特殊缴费核定 / Assess a late payment")
    async def assess(request: Request, caller: Writer, body: SpecialAssessmentBody) -> Response:
        key = required_key(request, caller, "assess_special_payment", body)
        given = msgspec.convert(body.model_dump(), AssessSpecialPayment)
        return answer(await payments.assess(given, metadata(request, caller), key, caller.covers))

    return routes
