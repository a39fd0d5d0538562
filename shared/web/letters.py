"""Routes for dead letters (死信): list, show, fix, replay (or try dry), discard. Scope ``<service>:ops``."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from shared.eventstore.dead_letters import OPEN, DeadLetter, DeadLetters
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised
from shared.web.paging import DEFAULT_LIMIT, After, Limit
from shared.web.requests import read_body
from shared.web.responses import json_response

FIX_LIMIT_BYTES = 1 << 20
_FIX = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
        "description": "更正后的内容 / the payload replay uses instead",
    }
}


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter as operators see it: codes and references. ``payload`` only when one is shown."""

    id: str
    kind: str
    name: str
    key: str
    position: int
    code: str
    state: str
    created_at: str
    partition: int = -1
    fixed: bool = False
    resolved_by: str = ""
    payload: Any = None


def letters_router(service: str, letters: DeadLetters) -> APIRouter:
    """``/ops/dead-letters`` and what can be done with each."""
    router = APIRouter(tags=["死信 / dead letters"])
    ops = authorised(f"{service}:ops", "ops")

    @router.get("/ops/dead-letters", summary="死信列表 / List dead letters")
    async def listed(
        state: str = OPEN,
        name: str = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
        _: Principal = Depends(ops),
    ) -> Response:
        found = await letters.list(state=state, name=name or None, after=after, limit=limit)
        last = found[-1].id if len(found) == limit else None
        return json_response({"items": [_shown(letter) for letter in found], "next": last})

    @router.get("/ops/dead-letters/{letter_id}", summary="查看死信 / Show a dead letter")
    async def show(letter_id: str, _: Principal = Depends(ops)) -> Response:
        return json_response(_shown(await letters.show(letter_id), payload=True))

    @router.post(
        "/ops/dead-letters/{letter_id}:fix", summary="更正死信 / Fix a dead letter", openapi_extra=_FIX
    )
    async def fix(letter_id: str, request: Request, _: Principal = Depends(ops)) -> Response:
        return json_response(_shown(await letters.fix(letter_id, await _json_body(request))))

    @router.post("/ops/dead-letters/{letter_id}:replay", summary="重放死信 / Replay a dead letter")
    async def replay(letter_id: str, dry_run: bool = False, operator: Principal = Depends(ops)) -> Response:
        return json_response(await letters.replay(letter_id, by=operator.client_id, dry_run=dry_run))

    @router.post("/ops/dead-letters/{letter_id}:discard", summary="放弃死信 / Discard a dead letter")
    async def discard(letter_id: str, operator: Principal = Depends(ops)) -> Response:
        await letters.discard(letter_id, by=operator.client_id)
        return json_response(_shown(await letters.show(letter_id)))

    return router


async def _json_body(request: Request) -> bytes:
    body = await read_body(request, FIX_LIMIT_BYTES)
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProblemError(Refusal("BODY_MALFORMED")) from None
    return body


def _shown(letter: DeadLetter, *, payload: bool = False) -> Letter:
    return Letter(
        letter.id,
        letter.kind,
        letter.name,
        letter.key,
        letter.position,
        letter.code,
        letter.state,
        letter.created_at.isoformat(),
        letter.part,
        letter.fixed is not None,
        letter.resolved_by,
        _plain(letter.fixed or letter.payload) if payload else None,
    )


def _plain(payload: bytes | None) -> Any:
    """The payload as JSON; bytes that are none are described, not shown."""
    if payload is None:
        return None
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"undecodable_bytes": len(payload)}
