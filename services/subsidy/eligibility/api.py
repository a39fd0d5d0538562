"""Routes of entitlements."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.subsidy.eligibility import queries
from services.subsidy.eligibility.projection import entitlement_table
from shared.eventstore.database import Database
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.responses import json_response

READ = "subsidy:eligibility:read"


def router(database: Database) -> APIRouter:
    """Routes under ``/subsidy-entitlements``."""
    routes = APIRouter(tags=["资助资格 entitlements"])

    @routes.get("/subsidy-entitlements")
    async def list_entitlements(
        principal: Annotated[Principal, Depends(authorised(READ))],
        campaign: Annotated[str, Query(max_length=20)] = "",
        department: Annotated[str, Query(max_length=64)] = "",
        insurance: Annotated[str, Query(max_length=10)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        """资助资格 / live entitlements by campaign, department and insurance."""
        table = entitlement_table.c
        columns = [table.year, table.insurance, table.person_id]
        wanted = queries.listing(campaign, department, insurance).where(
            inside(table.village, principal.divisions)
        )
        statement = keyset(wanted, columns, after, limit)
        async with database.read() as connection:
            rows = await connection.execute(statement)
        return json_response(
            paged(
                rows,
                limit,
                lambda row: dict(row._mapping),
                lambda row: [row.year, row.insurance, row.person_id],
            )
        )

    return routes
