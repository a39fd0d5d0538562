"""The front: ordinary requests of hot commands, from the connection to the answer without a task of their own.

A stack of middlewares costs a payment as much as deciding and storing it. The front does what the stack does, with
the stack's own functions, for requests that are as they should be; whatever is unusual (a token that does not
verify, a header that is missing or malformed, a body that is refused, a position to wait for) it leaves to the stack,
which says why. So there is one place for every refusal at the door, and tests hold both to the same answers. Where
no ``HotProtocol`` serves the app, everything is the stack's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from shared.eventstore.commands import DirectStore, IdempotencyKey, Outcome
from shared.eventstore.streams import Metadata
from shared.kernel.clock import Runtime
from shared.kernel.errors import OVERLOADED, ProblemError, Refusal
from shared.observability.logging import bound, logger, place_of
from shared.observability.tracing import Span, Tracing
from shared.security.principal import Principal
from shared.security.tokens import InvalidTokenError, TokenVerifier
from shared.web.auth import caller
from shared.web.bodies import refuse_unstorable
from shared.web.context import (
    RequestMetrics,
    begin_request,
    end_request,
    failure,
    incoming_correlation,
)
from shared.web.idempotency import MAX_LENGTH, digest_of, required_key
from shared.web.problems import problem_of, problem_response
from shared.web.requests import metadata, metadata_of, parsed
from shared.web.responses import answer
from shared.web.service import HotCommand, ThinRoute
from shared.web.serving import Answer, Told

LOGGER = logger(__name__)

_KNOWN = {
    b"authorization": 0,
    b"idempotency-key": 1,
    b"content-type": 2,
    b"traceparent": 3,
    b"x-correlation-id": 4,
    b"min-log-position": 5,
}
_CORRELATIONS = frozenset({b"traceparent", b"x-correlation-id"})
_FULL = Refusal(OVERLOADED)
_FULL_HEADERS = [each for each in problem_response(_FULL, "-").raw_headers if each[0] != b"content-length"]
_JSON = (b"content-type", b"application/json")
_REPLAYED = (b"idempotency-replayed", b"true")


def hot_route(
    path: str, hot: HotCommand[Any], operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> ThinRoute:
    """``POST path`` for the front and, with the same handler, for the stack."""

    async def endpoint(request: Request) -> Response:
        principal = caller(request, hot.scope)
        body = await parsed(request, hot.body)
        key = required_key(request, principal, hot.operation, body)
        return answer(await hot.handle(body, principal, metadata(request, principal), key, None))

    return ThinRoute("POST", path, endpoint, operation, schemas, hot)


class _Head(msgspec.Struct, gc=False):
    """What the front needs of the headers. traced: the caller brought a correlation."""

    token: str
    key: str
    traced: bool


def _head(headers: Sequence[tuple[bytes, bytes]]) -> _Head | None:
    """None where a header is missing, malformed or there twice, or asks for what the stack does."""
    found: list[bytes | None] = [None] * len(_KNOWN)
    for name, value in headers:
        number = _KNOWN.get(name)
        if number is not None:
            if found[number] is not None:
                return None
            found[number] = value
    authorization, given, media, trace, own, position = found
    if authorization is None or given is None or media is None or position is not None:
        return None
    if not media.startswith(b"application/json") or authorization[:7].lower() != b"bearer ":
        return None
    key = given.decode("latin-1").strip()
    if not key or len(key) > MAX_LENGTH or not key.isprintable():
        return None
    token = authorization[7:].decode("latin-1").strip()
    return _Head(token, key, trace is not None or own is not None)


class _Taken(NamedTuple):
    """A request on its way through the store."""

    hot: HotCommand[Any]
    path: str
    body: Any
    principal: Principal
    metadata: Metadata
    key: IdempotencyKey
    span: Span | None
    started: float
    told: Told


class Front:
    """commands: hot commands by their exact path. unavailable: as in ``RequestContext``."""

    def __init__(
        self,
        commands: Mapping[str, HotCommand[Any]],
        store: DirectStore,
        verifier: TokenVerifier,
        runtime: Runtime,
        metrics: RequestMetrics,
        unavailable: Callable[[Exception], Refusal | None],
        tracing: Tracing | None = None,
    ) -> None:
        self._commands = {path: (hot, msgspec.json.Decoder(hot.body)) for path, hot in commands.items()}
        self._targets = {path.encode(): path for path in commands}
        self._store = store
        self._verifier = verifier
        self._runtime = runtime
        self._metrics = metrics
        self._unavailable = unavailable
        self._tracing = tracing
        self._tasks: set[asyncio.Task[None]] = set()

    def path(self, method: bytes, target: bytes) -> str | None:
        """See ``serving.Front``."""
        return self._targets.get(target) if method == b"POST" else None

    def take(self, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, told: Told) -> bool:
        """See ``serving.Front``."""
        hot, decoder = self._commands[path]
        head = _head(headers)
        if head is None:
            return False
        try:
            principal = self._verifier.verify(head.token)
            if not principal.allows(hot.scope):
                return False
            refuse_unstorable(b"", body)
            asked = decoder.decode(body)
        except (InvalidTokenError, ProblemError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        correlation = incoming_correlation(Headers(raw=list(headers))) if head.traced else None
        correlation = correlation or self._runtime.new_id()
        key = IdempotencyKey(principal.organisation, hot.operation, head.key, digest_of(asked))
        span, origin = None, metadata_of(correlation, principal)
        if self._tracing is not None:
            span = begin_request(self._tracing, "POST", Headers(raw=list(headers)), correlation)
            origin = metadata_of(correlation, principal, traceparent=span.traceparent)
        taken = _Taken(hot, path, asked, principal, origin, key, span, self._runtime.monotonic(), told)
        try:
            command = hot.command(asked, principal, origin, key)
            if command is None:
                self._start(taken, None)
            else:
                self._store.submit(command, partial(self._answered, taken))
        except Exception as fault:  # noqa: BLE001 - the last fence: nothing may leave without a problem
            self._end(taken, self._failed(taken, fault))
        return True

    def _answered(self, taken: _Taken, outcome: Outcome | Exception) -> None:
        """What the store says, in the writer's task: it goes on, whatever becomes of this answer."""
        try:
            if isinstance(outcome, Exception):
                self._end(taken, self._failed(taken, outcome))
            elif taken.hot.final(outcome):
                self._end(taken, _answer(outcome, taken.metadata.correlation))
            else:
                self._start(taken, outcome)
        except Exception as fault:  # noqa: BLE001 - see above
            with bound(
                correlation=taken.metadata.correlation
            ):  # the writer's task began in some other request
                LOGGER.error(
                    "answer_failed", route=taken.path, error=type(fault).__name__, at=place_of(fault)
                )
            taken.told(None)

    def _start(self, taken: _Taken, outcome: Outcome | None) -> None:
        task = self._runtime.start(self._handle(taken, outcome), taken.path)
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)

    async def _handle(self, taken: _Taken, outcome: Outcome | None) -> None:
        """What one command does not settle."""
        reply: Answer | None = None
        try:
            with bound(correlation=taken.metadata.correlation):
                found = await taken.hot.handle(
                    taken.body, taken.principal, taken.metadata, taken.key, outcome
                )
            reply = _answer(found, taken.metadata.correlation)
        except Exception as fault:  # noqa: BLE001 - the last fence
            reply = self._failed(taken, fault)
        finally:
            self._end(taken, reply)

    def _failed(self, taken: _Taken, fault: Exception) -> Answer:
        correlation = taken.metadata.correlation
        with bound(correlation=correlation):
            away = self._unavailable(fault)
            if away is not None:
                self._metrics.refusal(away.code)
            return _problem(failure(fault, correlation, taken.path, away), correlation)

    def _end(self, taken: _Taken, reply: Answer | None) -> None:
        """Count, and answer."""
        status = 499 if reply is None else reply.status
        seconds = self._runtime.monotonic() - taken.started
        self._metrics.observe_request(taken.path, "POST", status, seconds)
        if taken.span is not None:
            end_request(taken.span, "POST", taken.path, status, taken.metadata.correlation)
        taken.told(reply)

    def shed(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> Answer | None:
        """See ``serving.Front``: 503 while the writer takes no more, whoever asks. Under overload a refusal must cost
        far less than a payment."""
        if not self._store.full:
            return None
        brought = None
        if any(name in _CORRELATIONS for name, _ in headers):
            brought = incoming_correlation(Headers(raw=list(headers)))
        correlation = brought or self._runtime.new_id()
        self._metrics.refusal(OVERLOADED)
        self._metrics.observe_request(path, "POST", 503, 0.0)
        body = msgspec.json.encode(problem_of(_FULL, correlation))
        told = [*_FULL_HEADERS, (b"content-length", b"%d" % len(body))]
        return Answer(503, [*told, (b"x-correlation-id", correlation.encode("latin-1"))], body)


def _answer(outcome: Outcome, correlation: str) -> Answer:
    """As ``responses.answer``."""
    if isinstance(outcome, Refusal):
        return _problem(problem_response(outcome, correlation), correlation)
    body = outcome.response
    headers = [
        (b"log-position", b"%d" % outcome.position),
        (b"content-length", b"%d" % len(body)),
        _JSON,
        (b"x-correlation-id", correlation.encode("latin-1")),
    ]
    if outcome.replayed:
        headers.insert(1, _REPLAYED)
    return Answer(outcome.status, headers, body)


def _problem(response: Response, correlation: str) -> Answer:
    headers = [*response.raw_headers, (b"x-correlation-id", correlation.encode("latin-1"))]
    return Answer(response.status_code, headers, bytes(response.body))
