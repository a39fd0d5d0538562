"""Operators' replays: rebuild a read model from the log and compare or swap; publish again from a position."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from shared.eventstore.rebuild import RebuildReport, ShadowedDatabase, rebuild, rebuild_all
from shared.kernel.errors import ProblemError, Refusal
from shared.messaging.relay import NotLeadingError
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.machinery import Machinery
from shared.web.requests import plain
from shared.web.responses import json_response
from shared.web.service import Ports, ServiceDescription


class ReplayBody(BaseModel):
    """重建方式 / whether the replayed rows replace the live ones."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"swap": False}]})

    swap: bool = False


class ResendBody(BaseModel):
    """重发起点 / the first log position to publish again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"from": 1}]})

    start: int = Field(alias="from", ge=1, lt=2**63)


def replaying_router(ports: Ports, description: ServiceDescription, machinery: Machinery) -> APIRouter:
    """``/ops/projections`` and ``/ops/relay:resend``. Scope ``<service>:ops``."""
    router = APIRouter(tags=["运维 / operations"])
    ops = authorised(f"{ports.service}:ops", "ops")
    projections = {projection.name: projection for projection in description.projections}

    replaying: dict[str, int] = {}

    @router.get("/ops/projections", summary="读模型列表 / Read models")
    async def listed(_: Principal = Depends(ops)) -> Response:
        return json_response({"items": sorted(projections), "replaying": replaying or None})

    @router.post("/ops/projections:replay", summary="全部读模型重建并比较 / Replay all in one pass")
    async def replay_all(body: ReplayBody, _: Principal = Depends(ops)) -> Response:
        def progress(position: int, until: int) -> None:
            replaying.update(position=position, until=until)

        database = cast("ShadowedDatabase", ports.database)
        try:
            reports = await rebuild_all(
                ports.log, database, description.projections, swap=body.swap, progress=progress
            )
        finally:
            replaying.clear()
        return json_response({"items": [_shown(report) for report in reports]})

    @router.post("/ops/projections/{name}:replay", summary="从日志重建并比较 / Replay, compare, swap")
    async def replay(name: str, body: ReplayBody, _: Principal = Depends(ops)) -> Response:
        projection = projections.get(name)
        if projection is None:
            raise ProblemError(Refusal("NOT_FOUND", rule="PROJECTION_UNKNOWN"))
        database = cast("ShadowedDatabase", ports.database)
        return json_response(_shown(await rebuild(ports.log, database, projection, swap=body.swap)))

    @router.post("/ops/relay:resend", summary="重新发布 / Publish again from a position")
    async def resend(body: ResendBody, _: Principal = Depends(ops)) -> Response:
        if machinery.resend is None:
            raise ProblemError(
                Refusal("NO_RELAY", rule="ROLE", message="本进程不转发 / no relay runs here"), 409
            )
        try:
            return json_response({"records": await machinery.resend(body.start)})
        except NotLeadingError:
            raise ProblemError(
                Refusal("NO_RELAY", rule="LEADER", message="由另一进程转发 / another process relays"), 409
            ) from None

    return router


def _shown(report: RebuildReport) -> dict[str, Any]:
    """A report and how many rows stand on one side only."""
    differences = sum(table.only_live + table.only_replayed for table in report.tables)
    return {**plain(report), "differences": differences}
