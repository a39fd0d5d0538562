"""Routes of cover: reads only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.registration.entitlements.queries import EntitlementQueries
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.responses import json_response

Reader = Annotated[Principal, Depends(authorised("registration:entitlements:read"))]
Division = Callable[[str], Awaitable[str | None]]


def router(queries: EntitlementQueries, division_of: Division) -> APIRouter:
    """``/people/{id}/entitlements``."""
    routes = APIRouter(tags=["entitlements 医保待遇"])

    @routes.get("/people/{person_id}/entitlements", summary="医保待遇 / Cover, and payments on their way")
    async def of_person(person_id: str, caller: Reader) -> Response:
        division = await division_of(person_id)
        if division is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        require_division(caller, division, "person_id")
        return json_response(await queries.of_person(person_id))

    return routes
