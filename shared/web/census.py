"""``GET /ops/log`` (事件统计): how many events of which type the log holds, and how many messages were published.

One statement over the log, for reports and operators; nobody has to read ten million messages to count them.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from shared.messaging.broker import BrokerError
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.machinery import Consumption, Machinery
from shared.web.responses import json_response
from shared.web.service import Ports


def census_router(ports: Ports, machinery: Machinery) -> APIRouter:
    """The route: scope ``<service>:ops``."""
    router = APIRouter(tags=["运维 / operations"])
    ops = authorised(f"{ports.service}:ops", "ops")

    @router.get("/ops/log", summary="日志事件统计 / Events of the log by type")
    async def census(_: Principal = Depends(ops)) -> Response:
        """``messages``: records on the service's topics, repetitions included; null while the broker is away."""
        body = {
            "service": ports.service,
            "log_position": await ports.log.head(),
            "types": await ports.log.census(),
            "messages": await published(machinery.consumption),
        }
        return json_response(body)

    return router


async def published(consumption: Consumption | None) -> int | None:
    """Records on the service's topics by the broker's own offsets."""
    if consumption is None:
        return None
    try:
        return sum((await consumption.published()).values())
    except BrokerError:
        return None
