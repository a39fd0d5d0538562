"""To a response: outcomes of commands, JSON of read models, and waiting for a position."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.eventstore.commands import Done, Outcome
from shared.kernel.errors import Refusal
from shared.web.context import correlation_of
from shared.web.problems import problem_response

POSITION_WAIT_SECONDS = 2.0


class Positions(Protocol):
    """Knows when the read models have seen a log position."""

    async def caught_up(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109 - the port's wording
        """True as soon as every projection has; False after ``timeout`` seconds."""
        ...


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON of structs, dicts, dates."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def answer(outcome: Outcome, location: str | None = None) -> Response:
    """A command's outcome as an HTTP answer: JSON with ``Log-Position``, or a problem.

    location: value of ``Location``, e.g. ``/imports/{id}``.
    """
    if isinstance(outcome, Refusal):
        return problem_response(outcome)
    headers = {"Log-Position": str(outcome.position)}
    if outcome.replayed:
        headers["Idempotency-Replayed"] = "true"
    if location is not None:
        headers["Location"] = location
    return Response(outcome.response, outcome.status, headers, "application/json")


def done_json(outcome: Done) -> Any:
    """The stored answer decoded, for handlers that read it."""
    return msgspec.json.decode(outcome.response)


class MinimumPosition:
    """Requests with ``Min-Log-Position`` wait until the read models are there: read your own writes."""

    def __init__(
        self, app: ASGIApp, positions: Positions, wait_seconds: float = POSITION_WAIT_SECONDS
    ) -> None:
        self._app = app
        self._positions = positions
        self._wait = wait_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = await self._wait_for(Headers(scope=scope).get("min-log-position"))
            if refusal is not None:
                await problem_response(refusal, correlation_of(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _wait_for(self, wanted: str | None) -> Refusal | None:
        if wanted is None:
            return None
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 18):
            return Refusal("HEADER_INVALID", field="Min-Log-Position")
        if await self._positions.caught_up(int(wanted), self._wait):
            return None
        return Refusal("POSITION_NOT_REACHED", field="Min-Log-Position")
