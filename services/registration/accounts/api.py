"""Routes of accounts and bookings: bookings follow from treasury (I-15); heads are counted for fiscal claims."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.accounts.handlers import Bookkeeping
from services.registration.accounts.queries import AccountQueries
from services.registration.bodies import Body
from shared.eventstore.commands import Store
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.idempotency import required_key
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

Reader = Annotated[Principal, Depends(authorised("registration:accounts:read"))]
Division = Callable[[str], Awaitable[str | None]]


Counter = Annotated[Principal, Depends(authorised("registration:special_assessment:write"))]


class HeadsBody(Body):
    """财政补助人数核报 / count what fiscal money is claimed for."""

    campaign: str = Field(pattern=r"^\d{6}(\d{3})?-\d{4}$", examples=["370404-2023"])


def router(
    queries: AccountQueries, bookkeeping: Bookkeeping, store: Store, division_of: Division
) -> APIRouter:
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

    @routes.post("/fiscal-heads:count", status_code=201, summary="财政补助人数核报 / Count booked heads")
    async def count_heads(request: Request, caller: Counter, body: HeadsBody) -> Response:
        division, year = parse_campaign(body.campaign)
        require_division(caller, division, "campaign")
        key = required_key(request, caller, "count_fiscal_heads", body)
        heads = await queries.heads(division, year)
        about = metadata(request, caller, body.campaign)
        command = bookkeeping.count_heads_command(body.campaign, year, heads, about, key)
        return answer(await store.execute(command))

    return routes
