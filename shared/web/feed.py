"""``GET /events`` (事件流): the published messages in log order, for integrators without Kafka.

Never private events, never sealed fields: what is personal goes to the receivers' topics only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from shared.eventstore.log import Log
from shared.messaging.feed import feed
from shared.messaging.publication import Publications
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.paging import DEFAULT_LIMIT, Limit
from shared.web.responses import json_response

Position = Annotated[int, Query(ge=0, lt=2**63, description="日志位置，不含 / log position, exclusive")]

Types = Annotated[
    str,
    Query(
        max_length=2000,
        description="只要这些事件，逗号分隔 / only these events, by name, with commas between",
        examples=["RefundPaid,SettlementOverdue"],
    ),
]


def feed_router(service: str, log: Log, publications: Callable[[], Publications]) -> APIRouter:
    """The route. ``next`` is always there: poll it again later when ``items`` is empty."""
    router = APIRouter(tags=["事件 / events"])
    reader = authorised(f"{service}:events:read", "events:read")

    @router.get("/events", summary="已发布事件 / Published messages (CloudEvents 1.0)")
    async def events(
        after: Position = 0,
        limit: Limit = DEFAULT_LIMIT,
        types: Types = "",
        _: Principal = Depends(reader),
    ) -> Response:
        only = [name.strip() for name in types.split(",") if name.strip()]
        page = await feed(log, publications(), after, limit, only)
        return json_response({"items": page.events, "next": str(page.next_after)})

    return router
