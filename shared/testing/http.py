"""Checks every service runs against its app: tokens on all routes, OpenAPI complete, nothing personal out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
from fastapi import FastAPI

from shared.web.auth import is_open

MARKED_NUMBER = "370406199001019997"
"""A well-formed number nobody has, to be sent down error paths and searched for afterwards."""

MARKED_NAME = "标记人"
MARKED_PHONE = "13900009999"

_PARAMETER = re.compile(r"\{[^}]+\}")


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path template) of every route, mounted and plain ones included."""
    yield from _walk(app.routes, "")


def _walk(routes: Iterable[Any], prefix: str) -> Iterator[tuple[str, str]]:
    for route in routes:
        below = getattr(route, "routes", None)
        path = prefix + getattr(route, "path", "")
        methods = getattr(route, "methods", None)
        if methods:
            yield from ((method, path) for method in sorted(methods) if method != "HEAD")
        elif below:
            yield from _walk(below, path)
        elif hasattr(route, "path"):
            yield "GET", path


async def assert_every_route_needs_a_token(app: FastAPI) -> int:
    """Walk all routes without and with a bad token: 401 problem and WWW-Authenticate, or on the open list.

    Answers how many were refused; a walk that met none is a failure.
    """
    refused = 0
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://walk") as client:
        for method, template in routes_of(app):
            path = _PARAMETER.sub("1", template)
            if is_open(method, path):
                continue
            for headers in ({}, {"Authorization": "Bearer not.a.token"}):
                response = await client.request(method, path, headers=headers)
                assert response.status_code == 401, f"{method} {template} answered {response.status_code}"
                assert "WWW-Authenticate" in response.headers, f"{method} {template}"
                assert response.json()["code"] == "UNAUTHENTICATED"
            refused += 1
    assert refused, "the walk met no route"
    return refused


def assert_openapi_is_complete(app: FastAPI) -> None:
    """Every route is described and nothing else is; every operation but the open ones names a scope."""
    described = {
        (method.upper(), path) for path, operations in app.openapi()["paths"].items() for method in operations
    }
    hidden = {("GET", "/openapi.json"), ("GET", "/docs")}
    routes = set(routes_of(app)) - hidden
    assert routes == described, f"undescribed {routes - described}, not routed {described - routes}"
    for method, path in described:
        operation = app.openapi()["paths"][path][method.lower()]
        assert operation.get("summary"), f"{method} {path} has no summary"
        if not is_open(method, path):
            scopes = [scope for entry in operation["security"] for names in entry.values() for scope in names]
            assert scopes, f"{method} {path} names no scope"


def assert_no_personal_data(*texts: str | bytes) -> None:
    """None of the marked values appears in answers, logs or metrics."""
    for text in texts:
        content = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for marked in (MARKED_NUMBER, MARKED_NUMBER.lower(), MARKED_NAME, MARKED_PHONE):
            assert marked not in content, "marked personal data leaked"
            assert repr(marked.encode())[2:-1] not in content, "marked personal data leaked as bytes"
