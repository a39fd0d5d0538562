"""``GET /events`` (事件流): the published messages in log order, for integrators without Kafka.

Never private events, never sealed fields: what is personal goes to the receivers' topics only.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from shared.contracts.message import Envelope
from shared.eventstore.log import Log
from shared.messaging.publication import Publications
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.paging import DEFAULT_LIMIT, Limit
from shared.web.responses import json_response

Position = Annotated[int, Query(ge=0, lt=2**63, description="日志位置，不含 / log position, exclusive")]


async def published(
    log: Log, publications: Publications, after: int, limit: int
) -> tuple[list[Envelope], int]:
    """Messages of at most ``limit`` log rows after a position, and the position to go on from."""
    page = await log.read_page(after, limit, log.types.names(publications.handles))
    envelopes = [
        publications.envelope(recorded, index, message)
        for recorded in page.events
        for index, message in enumerate(publications.messages(recorded))
    ]
    return envelopes, page.scanned


def feed_router(service: str, log: Log, publications: Publications) -> APIRouter:
    """The route. ``next`` is always there: poll it again later when ``items`` is empty."""
    router = APIRouter(tags=["事件 / events"])
    reader = authorised(f"{service}:events:read")

    @router.get("/events", summary="已发布事件 / Published messages (CloudEvents 1.0)")
    async def events(
        after: Position = 0, limit: Limit = DEFAULT_LIMIT, _: Principal = Depends(reader)
    ) -> Response:
        envelopes, position = await published(log, publications, after, limit)
        return json_response({"items": envelopes, "next": str(position)})

    return router
