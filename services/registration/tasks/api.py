"""Routes of tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from services.registration.bodies import Body
from services.registration.tasks.handlers import Tasks
from services.registration.tasks.queries import TaskQueries
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

Reader = Annotated[Principal, Depends(authorised("registration:tasks:read"))]
Writer = Annotated[Principal, Depends(authorised("registration:tasks:write"))]


class CloseBody(Body):
    """办结 / close with a finding (a code)."""

    finding: str = Field(pattern=r"^[A-Z][A-Z_]{1,59}$", examples=["BOOKED_BY_HAND"])


def router(tasks: Tasks, queries: TaskQueries) -> APIRouter:
    """``/tasks``."""
    routes = APIRouter(tags=["tasks 待办"])

    @routes.get("/tasks", summary="待办 / Open tasks")
    async def open_tasks(
        caller: Reader,
        state: Annotated[str, Query(pattern="^(OPEN|CLOSED)$")] = "OPEN",
        kind: Annotated[str, Query(max_length=40)] = "",
        division: Annotated[str, Query(pattern=r"^\d{0,12}$")] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        require_division(caller, division)
        return json_response(await queries.tasks(state, kind, division, after, limit))

    @routes.post("/tasks/{task_id}:close", status_code=201, summary="办结待办 / Close a task")
    async def close(request: Request, caller: Writer, task_id: str, body: CloseBody) -> Response:
        found = await queries.task(task_id)
        if found is None:
            raise ProblemError(Refusal("NOT_FOUND"))
        require_division(caller, found["division"], "task_id")
        key = required_key(request, caller, "close_task", [task_id, body.finding])
        if found["state"] == "CLOSED" and found["finding"] != body.finding:
            raise ProblemError(Refusal("INVALID_STATE", rule="TASK_CLOSED"))
        return answer(await tasks.close(task_id, body.finding, metadata(request, caller), key))

    return routes
