"""Routes of special identities; marking follows from lists, only removing is asked for here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body, PersonId, Year
from services.registration.special_identities.handlers import SpecialIdentityImports
from shared.kernel.insurance import Insurance
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.fields import Day
from shared.web.idempotency import required_key
from shared.web.requests import metadata
from shared.web.responses import answer

Writer = Annotated[Principal, Depends(authorised("registration:enrolment:write"))]


class RemoveIdentityBody(Body):
    """特殊群体身份取消 / end an identity a department gave."""

    person_id: PersonId
    insurance: Insurance
    year: Year
    category: str = Field(min_length=1, max_length=60, examples=["MINIMUM_LIVING"])
    source_department: str = Field(min_length=1, max_length=60, examples=["civil-affairs"])
    from_date: Day = Field(examples=["2020-06-01"])


def router(imports: SpecialIdentityImports) -> APIRouter:
    """``/special-identities:remove``."""
    routes = APIRouter(tags=["special identities 特殊群体身份"])

    @routes.post(
        "/special-identities:remove", status_code=201, summary="取消特殊群体身份 / End a special identity"
    )
    async def remove(request: Request, caller: Writer, body: RemoveIdentityBody) -> Response:
        key = required_key(request, caller, "remove_special_identity", body)
        return answer(
            await imports.remove(
                body.person_id,
                body.insurance,
                body.year,
                body.category,
                body.source_department,
                body.from_date,
                metadata(request, caller),
                key,
            )
        )

    return routes
