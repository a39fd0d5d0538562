"""The one app factory: routes of a service and of the platform behind one stack of middleware.

From the outside in: correlation, metrics and the last fence; authentication; waiting for a position; thin
routes; FastAPI. All of it is pure ASGI, so thin and ordinary routes run the same code. Before it, at the connection,
stands the front, which answers ordinary requests of hot commands in one go and leaves all others to it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.eventstore.log import Failure
from shared.kernel.errors import NOT_READY, OVERLOADED, OverloadedError, ProblemError, Refusal
from shared.kernel.events import DayBegun
from shared.security.issuer import Issuer
from shared.security.tokens import TokenVerifier
from shared.web.auth import Authentication
from shared.web.bodies import StorableBodies
from shared.web.calendar import Calendar
from shared.web.census import census_router
from shared.web.context import RequestContext, correlation_of
from shared.web.feed import feed_router
from shared.web.front import Front
from shared.web.issuing import issuer_router
from shared.web.letters import letters_router
from shared.web.machinery import Machinery
from shared.web.openapi import complete
from shared.web.operations import health_router, imports_router, operations_router
from shared.web.problems import problem_response
from shared.web.replaying import replaying_router
from shared.web.responses import MinimumPosition
from shared.web.service import Ports, ServiceDefinition, ServiceDescription, ThinRoute

VERSION = "0.1.0"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
_SAFE_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,40}", re.ASCII)


class ThinRoutes:
    """Answers exact (method, path) pairs without going through FastAPI."""

    def __init__(self, app: ASGIApp, routes: Sequence[ThinRoute]) -> None:
        self._app = app
        self._routes = {(route.method, route.path): route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["liangxian.route"] = route.path
        response = await route.endpoint(Request(scope, receive))
        await response(scope, receive, send)


class ServiceApp(FastAPI):
    """FastAPI, and what stands before it."""

    front: Front | None = None
    """Asked by ``serving.HotProtocol``."""


def build_app(
    definition: ServiceDefinition,
    ports: Ports,
    description: ServiceDescription,
    machinery: Machinery,
    verifier: TokenVerifier,
    *,
    issuer: Issuer | None = None,
    lifespan: Lifespan | None = None,
    calendar: Calendar | None = None,
) -> FastAPI:
    """A service's app. ``issuer``: mounted when this process issues development tokens.

    Raises UnknownTypeError when the definition's types lack DayBegun.
    """
    definition.types.name(DayBegun)
    calendar = calendar or Calendar(ports.service, ports.store, ports.database, ports.clock)
    app = bare_app(definition, lifespan)
    routers = [
        health_router(ports, description, machinery, calendar),
        operations_router(ports, machinery, calendar),
        census_router(ports, machinery),
        imports_router(ports),
        letters_router(ports.service, machinery.letters),
        replaying_router(ports, description, machinery),
        feed_router(ports.service, ports.log, lambda: machinery.publications),
        *description.routers,
    ]
    for router in routers if issuer is None else [*routers, issuer_router(issuer)]:
        mount(app, router)
    for thin in description.thin:
        app.router.add_route(thin.path, thin.endpoint, methods=[thin.method], include_in_schema=False)
    complete(app, description.thin)
    app.state.ports = ports
    app.state.calendar = calendar
    app.state.machinery = machinery
    app.add_middleware(ThinRoutes, routes=description.thin)
    app.add_middleware(MinimumPosition, positions=machinery)
    app.add_middleware(StorableBodies)
    app.add_middleware(Authentication, verifier=verifier)

    def unavailable(fault: Exception) -> Refusal | None:
        return UNAVAILABLE.get(ports.log.failure(fault))

    app.add_middleware(
        RequestContext,
        runtime=ports.runtime,
        metrics=ports.metrics,
        unavailable=unavailable,
        tracing=ports.tracing,
    )
    hot = {thin.path: thin.hot for thin in description.thin if thin.hot is not None}
    if hot:
        app.front = Front(
            hot,
            ports.store,
            verifier,
            ports.runtime,
            ports.metrics,
            unavailable,
            ports.tracing,
        )
    return app


def mount(app: FastAPI, router: APIRouter) -> None:
    """Put a router's routes into the app itself: one flat list to match, walk and describe.

    Raises TypeError for a router that includes others (their prefix would be lost).
    """
    for route in router.routes:
        if not isinstance(route, Route):
            raise TypeError("a capability's router holds routes, not routers")
        app.router.routes.append(route)


def bare_app(definition: ServiceDefinition, lifespan: Lifespan | None = None) -> ServiceApp:
    """FastAPI with our error answers and without the routes nobody asked for."""
    app = ServiceApp(
        title=definition.title,
        version=VERSION,
        lifespan=lifespan or _nothing,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        separate_input_output_schemas=False,
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(OverloadedError, _overloaded)
    return app


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


async def _invalid(request: Request, error: Exception) -> Response:
    """FastAPI's own answer would echo the input."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0] if error.errors() else {}
    kind = str(first.get("type", ""))
    correlation = correlation_of(request.scope)
    if kind == "json_invalid":
        return problem_response(Refusal("BODY_MALFORMED"), correlation)
    location = tuple(first.get("loc", ()))
    refusal = Refusal("VALIDATION_FAILED", rule=kind.upper(), field=field_of(location, kind))
    return problem_response(refusal, correlation)


def field_of(location: Sequence[Any], kind: str = "") -> str:
    """Dotted field of a validation error; parts the caller named are left out, as they may be data."""
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    if kind == "extra_forbidden":
        parts = parts[:-1]
    safe = [str(part) if isinstance(part, int) or _SAFE_PART.fullmatch(str(part)) else "*" for part in parts]
    return ".".join(safe)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 400: "BODY_MALFORMED", 413: "BODY_TOO_LARGE"}
    refusal = Refusal(codes.get(error.status_code, "INTERNAL_ERROR"))
    response = problem_response(refusal, correlation_of(request.scope), error.status_code)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


UNAVAILABLE = {
    Failure.CONNECTION: Refusal(NOT_READY, rule="DATABASE"),
    Failure.TRANSIENT: Refusal(OVERLOADED, rule="DATABASE"),
    Failure.BUSY: Refusal(OVERLOADED, rule="DATABASE"),
}
"""503 for who may ask again: the database is away, or too busy to answer in time."""


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error.refusal, correlation_of(request.scope), error.status, error.retry_after)


async def _overloaded(request: Request, error: Exception) -> Response:
    assert isinstance(error, OverloadedError)
    return problem_response(Refusal(OVERLOADED), correlation_of(request.scope), 503, error.retry_after)
