"""Finishing OpenAPI: thin routes written by hand, scopes per operation, problems on every operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from shared.web.auth import SCHEME, Authorised, is_open
from shared.web.problems import MEDIA_TYPE, Problem
from shared.web.service import ThinRoute

PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


def complete(app: FastAPI, thin: Sequence[ThinRoute]) -> None:
    """Replace ``app.openapi`` by one that adds what FastAPI cannot know; the result is kept."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate(), app, thin)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any], app: FastAPI, thin: Sequence[ThinRoute]) -> dict[str, Any]:
    paths = document.setdefault("paths", {})
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for route in thin:
        paths.setdefault(route.path, {})[route.method.lower()] = dict(route.operation)
        schemas |= dict(route.schemas)
    schemas["Problem"] = _problem_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    scopes = {operation: scope for route in app.routes for operation, scope in _scopes(route)}
    used: set[str] = set()
    for path, operations in paths.items():
        for method, operation in operations.items():
            if is_open(method.upper(), path):
                operation.pop("security", None)
            else:
                scope = scopes.get((method.upper(), path)) or operation.pop("x-scope", "")
                used |= {scope} - {""}
                operation["security"] = [{SCHEME: [scope] if scope else []}]
            _answer_problems(operation)
            _answer_text(path, operation)
    components.setdefault("securitySchemes", {})[SCHEME] = {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/oauth/token",
                "scopes": {scope: scope for scope in sorted(used)},
            }
        },
    }
    return document


def _answer_text(path: str, operation: dict[str, Any]) -> None:
    """CSV files and metrics are no JSON; FastAPI cannot know."""
    kind = "text/csv" if path.endswith(".csv") else "text/plain" if path == "/metrics" else ""
    if kind and "200" in operation["responses"]:
        operation["responses"]["200"]["content"] = {kind: {"schema": {"type": "string"}}}


def _answer_problems(operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    responses.pop("422", None)
    problem = {"description": "问题详情 / Problem", "content": {MEDIA_TYPE: {"schema": PROBLEM_REF}}}
    for status in ("4XX", "5XX"):
        responses.setdefault(status, problem)


def _scopes(route: Any) -> Iterator[tuple[tuple[str, str], str]]:
    if isinstance(route, APIRoute):
        scope = _scope_of(route.dependant)
        if scope:
            yield from (((method, route.path), scope) for method in sorted(route.methods or ()))


def _scope_of(dependant: Dependant) -> str:
    if isinstance(dependant.call, Authorised):
        return dependant.call.scope
    return next(filter(None, map(_scope_of, dependant.dependencies)), "")


def _problem_schema() -> dict[str, Any]:
    _, components = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    schema: dict[str, Any] = components["Problem"]
    return schema
