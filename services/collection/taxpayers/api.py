"""Reads of taxpayers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from services.collection.taxpayers.queries import taxpayer_view
from shared.eventstore.database import Database
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.responses import json_response

Reader = Annotated[Principal, Depends(authorised("collection:taxpayers:read"))]


def router(database: Database) -> APIRouter:
    """``/taxpayers``."""
    routes = APIRouter(tags=["taxpayers 纳税人"])

    @routes.get("/taxpayers/{person_id}", summary="自然人及其关联 / a person and his links")
    async def get_taxpayer(person_id: str, principal: Reader) -> Response:
        async with database.read() as connection:
            view = await taxpayer_view(connection, person_id)
        if view is None:
            raise ProblemError(Refusal("NOT_FOUND", field="person_id"))
        require_division(principal, view["village"], "person_id")
        return json_response(view)

    return routes
