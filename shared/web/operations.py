"""Routes every service has: health, readiness, metrics, lag, begin-day, imports (运维接口)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from shared.kernel.errors import ProblemError, Refusal
from shared.observability.metrics import CONTENT_TYPE
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.calendar import Calendar
from shared.web.context import correlation_of
from shared.web.fields import Count, Day
from shared.web.idempotency import header_key
from shared.web.imports import ImportKind
from shared.web.machinery import Machinery
from shared.web.reasons import reason_of
from shared.web.requests import metadata, spool_body
from shared.web.responses import json_response
from shared.web.service import Ports, ServiceDescription
from shared.web.spool import KEY_BYTES, NONCE_BYTES, Spool
from shared.web.standing import Standing
from shared.web.uploads import format_of

FAILURES_PAGE = 1000
OUTCOMES_LIMIT = 5000
REST_LIMIT_SECONDS = 60.0


class BeginDay(BaseModel):
    """日切请求."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"date": "2019-11-01"}]})

    date: Day = Field(description="业务日期 / business date")


async def accept_upload(
    request: Request,
    principal: Principal,
    ports: Ports,
    kind: ImportKind[Any],
    campaign: str = "",
    parameters: Mapping[str, str] | None = None,
) -> Response:
    """What a ``POST …:import`` route answers: 202, ``Location`` and {"import_id"} for an NDJSON, CSV or XLSX
    body. ``Idempotency-Key`` is required; the same file under the same key is the same job."""
    key = header_key(request) or ""
    upload_format = format_of(request.headers.get("content-type", ""))
    with Spool(ports.runtime.random_bytes(KEY_BYTES + NONCE_BYTES)) as body:
        await spool_body(request, body, ports.settings.import_limit_bytes)
        accepted = await ports.imports.accept(
            kind, body, upload_format, principal, key, correlation_of(request.scope), campaign, parameters
        )
    if isinstance(accepted, Refusal):
        raise ProblemError(accepted)
    headers = {"Location": f"/imports/{accepted.import_id}"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response({"import_id": accepted.import_id}, 202, headers)


def health_router(
    ports: Ports, description: ServiceDescription, machinery: Machinery, calendar: Calendar
) -> APIRouter:
    """``/healthz``, ``/readyz``, ``/metrics``: open to probes and scrapers."""
    router = APIRouter(tags=["运维 / operations"])
    standing = Standing(ports, description, machinery)

    @router.get("/healthz", summary="进程存活 / The process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "service": ports.service}

    @router.get("/readyz", summary="可以接收请求 / Ready for requests", responses={503: {}})
    async def readyz() -> Response:
        faults = await standing.faults()
        body: dict[str, Any] = {
            "status": "not_ready" if faults else "ready",
            "service": ports.service,
            "faults": faults,
            "roles": ports.settings.roles.value,
            "rehearsal": ports.settings.rehearsal,
            "clock": "simulated" if calendar.simulated else "wall",
            "today": ports.clock.today(),
            **description.facts(),
        }
        return json_response(body, 503 if faults else 200, {"Retry-After": "1"} if faults else None)

    @router.get("/metrics", summary="监控指标 / Prometheus metrics")
    async def metrics() -> Response:
        await standing.tell()
        return Response(ports.metrics.render(), media_type=CONTENT_TYPE)

    return router


def operations_router(ports: Ports, machinery: Machinery, calendar: Calendar) -> APIRouter:
    """``/ops/lag``, ``/ops/begin-day``: scope ``<service>:ops``."""
    router = APIRouter(tags=["运维 / operations"])
    ops = authorised(f"{ports.service}:ops", "ops")

    @router.get("/ops/lag", summary="各环节积压 / How far everything is behind")
    async def lag(
        wait: Annotated[float, Query(ge=0, le=REST_LIMIT_SECONDS, description="秒 / seconds")] = 0.0,
        _: Principal = Depends(ops),
    ) -> Response:
        """``wait``: answer as soon as the service is drained and nothing is parked, at the latest then."""
        return json_response(await machinery.rest(ports.runtime, wait))

    @router.post("/ops/begin-day", summary="开始营业日 / Begin a business day")
    async def begin_day(request: Request, body: BeginDay, operator: Principal = Depends(ops)) -> Response:
        if calendar.simulated and not ports.settings.rehearsal:
            raise ProblemError(Refusal("REHEARSAL_ONLY"))
        begun = await calendar.begin(body.date, metadata(request, operator))
        position = str(await ports.log.head())
        return json_response({"date": body.date, "begun": begun}, headers={"Log-Position": position})

    return router


def imports_router(ports: Ports) -> APIRouter:
    """``/imports/{id}`` and its failures file, for the organisation that uploaded.

    Scope ``<service>:imports:read``.
    """
    router = APIRouter(tags=["批量导入 / imports"])
    reader = authorised(f"{ports.service}:imports:read", "imports:read")

    @router.get("/imports/{import_id}", summary="导入进度 / Progress of an import")
    async def status(
        import_id: str,
        wait: Annotated[float, Query(ge=0, le=REST_LIMIT_SECONDS, description="秒 / seconds")] = 0.0,
        caller: Principal = Depends(reader),
    ) -> Response:
        """``wait``: answer as soon as the job is done, at the latest then."""
        found = await ports.imports.finished(import_id, caller.organisation, wait)
        if found is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        return json_response(found)

    @router.get("/imports/{import_id}/outcomes", summary="逐行结果 / What became of each row")
    async def outcomes(
        import_id: str,
        after: Annotated[Count, Query(ge=0, description="行号 / row number")] = 0,
        limit: Annotated[int, Query(ge=1, le=OUTCOMES_LIMIT)] = OUTCOMES_LIMIT,
        caller: Principal = Depends(reader),
    ) -> Response:
        """``next`` is null once the import is done and its last row was answered."""
        status = await ports.imports.status(import_id, caller.organisation)
        if status is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        rows = await ports.imports.outcomes(import_id, after, limit)
        last = rows[-1].row if rows else after
        items = [structs.asdict(row) for row in rows]
        ended = status.state == "DONE" and len(rows) < limit
        return json_response({"items": items, "next": None if ended else last})

    @router.get("/imports/{import_id}/failures.csv", summary="失败行 / Refused rows, without their content")
    async def failures(import_id: str, caller: Principal = Depends(reader)) -> Response:
        if await ports.imports.status(import_id, caller.organisation) is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        lines, after = ["row_number,code,rule,field,reason"], 0
        while rows := await ports.imports.outcomes(import_id, after, FAILURES_PAGE, refused=True):
            lines += [
                f'{row.row},{row.code},{row.rule},{row.field},"{reason_of(row.code, row.rule)}"'
                for row in rows
            ]
            after = rows[-1].row
        return Response("\r\n".join(lines) + "\r\n", media_type="text/csv; charset=utf-8")

    return router
