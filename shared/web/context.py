"""The outermost middleware: correlation id, request metric, access log, and the 500 without data.

``traceparent`` (W3C) wins, then ``X-Correlation-Id``; else a new id. The same id is the correlation of
every event the request causes, in all services.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.kernel.clock import Runtime
from shared.kernel.errors import NOT_READY, OverloadedError, ProblemError, Refusal
from shared.observability.logging import bound, logger, place_of
from shared.observability.tracing import CORRELATION, PATTERN, TRACEPARENT, Kind, Span, Tracing
from shared.web.problems import problem_response

_CORRELATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}", re.ASCII)
_LONG_DIGITS = re.compile(r"\d{11}|\d{17}[0-9Xx]", re.ASCII)

READS = frozenset({"GET", "HEAD"})
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds, and never traced."""

log = logger(__name__)


class RequestMetrics(Protocol):
    """Where a finished request is counted."""

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """``liangxian_http_request_duration_seconds``."""
        ...

    def refusal(self, code: str) -> None:
        """``liangxian_refusals_total``: here, of those whom no command answered; a read that finds the database
        away is no refused command."""
        ...


def correlation_of(scope: Mapping[str, Any]) -> str:
    """The request's correlation id ("" outside the middleware)."""
    return str(scope.get("liangxian.correlation", ""))


def incoming_correlation(headers: Headers) -> str | None:
    """The correlation id the caller brought, if it is one: never something that looks like a person's
    number."""
    match = PATTERN.fullmatch(headers.get(TRACEPARENT, ""))
    if match is not None:
        return match[1]
    own = headers.get("x-correlation-id", "")
    if _CORRELATION.fullmatch(own) and not (_LONG_DIGITS.search(own) and not _is_uuid(own)):
        return own
    return None


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", text, re.ASCII) is not None


def route_of(scope: Mapping[str, Any]) -> str:
    """The route's template for metrics and logs; the raw path (it may hold ids) never."""
    route = scope.get("liangxian.route") or getattr(scope.get("route"), "path", None)
    return str(route) if route else "unmatched"


def trace_of(scope: Mapping[str, Any]) -> str:
    """The ``traceparent`` of the request's span; "" when it is not traced."""
    return str(scope.get("liangxian.traceparent", ""))


def begin_request(tracing: Tracing, method: str, headers: Headers, correlation: str) -> Span:
    """A span of a request, in the caller's trace or in one whose id is the correlation, where it can be."""
    return tracing.begin(method, Kind.SERVER, headers.get(TRACEPARENT, ""), correlation)


def end_request(span: Span, method: str, route: str, status: int, correlation: str) -> None:
    """route: the template, never the path."""
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        CORRELATION: correlation,
    }
    span.end(f"{method} {route}", attributes, failed=status >= 500)


class RequestContext:
    """Wraps a whole app. unavailable: the refusal of an exception that says that the database is away or busy."""

    def __init__(
        self,
        app: ASGIApp,
        runtime: Runtime,
        metrics: RequestMetrics,
        unavailable: Callable[[Exception], Refusal | None] = lambda _: None,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._metrics = metrics
        self._unavailable = unavailable
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = incoming_correlation(Headers(scope=scope)) or self._runtime.new_id()
        scope["liangxian.correlation"] = correlation
        started = self._runtime.monotonic()
        status = 0
        span = None
        if self._tracing is not None and scope["path"] not in PROBES:
            span = begin_request(self._tracing, scope["method"], Headers(scope=scope), correlation)
            scope["liangxian.traceparent"] = span.traceparent

        async def passing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(raw=message["headers"])["X-Correlation-Id"] = correlation
            await send(message)

        with bound(correlation=correlation):
            try:
                await self._app(scope, receive, passing)
            except Exception as fault:  # noqa: BLE001 - the last fence: nothing may leave without a problem
                if status:
                    log.error("request_broken", route=route_of(scope), error=type(fault).__name__)
                    raise ConnectionError("the answer was cut off") from None
                away = self._unavailable(fault)
                if away is not None and (away.code != NOT_READY or scope["method"] not in READS):
                    self._metrics.refusal(away.code)
                await failure(fault, correlation, route_of(scope), away)(scope, receive, passing)
            finally:
                seconds = self._runtime.monotonic() - started
                self._metrics.observe_request(route_of(scope), scope["method"], status or 499, seconds)
                if span is not None:
                    end_request(span, scope["method"], route_of(scope), status or 499, correlation)


def failure(fault: Exception, correlation: str, route: str, away: Refusal | None) -> Response:
    """The answer to an exception: a problem, and for the unexpected a line in the log. away: see above."""
    if isinstance(fault, OverloadedError):
        return problem_response(Refusal("OVERLOADED"), correlation, 503, fault.retry_after)
    if isinstance(fault, ProblemError):
        return problem_response(fault.refusal, correlation, fault.status, fault.retry_after)
    log.error("request_failed", route=route, error=type(fault).__name__, at=place_of(fault))
    if away is not None:
        return problem_response(away, correlation)
    return problem_response(Refusal("INTERNAL_ERROR"), correlation)
