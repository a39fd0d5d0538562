"""Routes of supervision: list cases, close one with a finding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.notification.supervision import handlers, queries
from services.notification.supervision.projection import case_table
from shared.eventstore.commands import Store
from shared.eventstore.database import Database
from shared.kernel.clock import Clock
from shared.kernel.division import parse_campaign
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, keyset, paged, placed_inside
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

READ = "notification:supervision:read"
WRITE = "notification:supervision:write"


class FindingBody(BaseModel):
    """结案结论 / the finding a case is closed with."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"finding": "已补缴 / deposited"}]}
    )

    finding: str = Field(min_length=1, max_length=2000)


def router(store: Store, database: Database, clock: Clock) -> APIRouter:
    """Routes under ``/cases``."""
    routes = APIRouter(tags=["监督 supervision"])

    @routes.get("/cases")
    async def list_cases(
        principal: Annotated[Principal, Depends(authorised(READ))],
        campaign: Annotated[str, Query(max_length=20)] = "",
        rule: Annotated[str, Query(max_length=40)] = "",
        state: Annotated[str, Query(max_length=10)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """案件列表 / cases by campaign, rule and state, of the caller's divisions."""
        wanted = queries.listing(campaign, rule, state)
        wanted = wanted.where(placed_inside(case_table.c.village, case_table.c.campaign, principal.divisions))
        statement = keyset(wanted, [case_table.c.case_id], after, limit)
        async with database.read() as connection:
            rows = await connection.execute(statement)
        return json_response(paged(rows, limit, lambda row: dict(row._mapping), lambda row: [row.case_id]))

    @routes.post("/cases/{case_id}:close")
    async def close_case(
        case_id: str,
        body: FindingBody,
        request: Request,
        principal: Annotated[Principal, Depends(authorised(WRITE))],
    ) -> Response:
        """结案 / close a case with a finding."""
        async with database.read() as connection:
            row = await queries.case(connection, case_id)
        if row is None:
            raise ProblemError(Refusal("NOT_FOUND", rule="CASE_UNKNOWN"), status=404)
        # A channel's day is of many villages: whoever has the whole campaign closes its case.
        require_division(principal, row.village or row.campaign.partition("-")[0])
        command = handlers.close_case(
            case_id,
            parse_campaign(row.campaign)[1],
            body.finding,
            principal.organisation,
            clock.today(),
            metadata(request, principal, row.campaign),
            required_key(request, principal, f"close_case:{case_id}", body),
        )
        return answer(await store.execute(command))

    return routes
