"""Routes of accounts and bookings: reads only, as all bookings follow from treasury (I-15)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from services.registration.accounts.queries import AccountQueries
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.responses import json_response

Reader = Annotated[Principal, Depends(authorised("registration:accounts:read"))]
Division = Callable[[str], Awaitable[str | None]]


def router(queries: AccountQueries, division_of: Division) -> APIRouter:
    """Routes under ``/people/{id}/account`` and ``/bookings``."""
    routes = APIRouter(tags=["accounts 记账"])

    @routes.get("/people/{person_id}/account", summary="养老保险个人账户 / Pension account")
    async def account(person_id: str, caller: Reader) -> Response:
        division = await division_of(person_id)
        if division is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        require_division(caller, division, "person_id")
        return json_response(await queries.account(person_id))

    @routes.get("/bookings", summary="记账合计 / Booked totals per village, insurance and day")
    async def bookings(
        caller: Reader,
        campaign: Annotated[str, Query(pattern=r"^\d{6}(\d{3})?-\d{4}$", examples=["370406-2020"])],
        village: Annotated[str, Query(pattern=r"^\d{0,12}$")] = "",
    ) -> Response:
        require_division(caller, village or campaign.partition("-")[0], "village")
        return json_response({"items": await queries.totals(campaign, village)})

    return routes
