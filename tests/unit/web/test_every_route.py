"""Tokens on every route, thin and plain ones included; routes and OpenAPI agree (architecture §6)."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import Response

from shared.testing.http import assert_every_route_needs_a_token, assert_openapi_is_complete, routes_of
from shared.testing.service import MemoryService

OPEN = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json"]


async def test_every_route_needs_a_token(service: MemoryService) -> None:
    assert await assert_every_route_needs_a_token(service.app) >= 10


async def test_a_route_added_past_fastapi_needs_a_token_too(service: MemoryService) -> None:
    """``add_route`` skips FastAPI's dependencies; the middleware does not care."""

    async def secret(_: Any) -> Response:
        return Response(b"secret")

    before = len(list(routes_of(service.app)))
    service.app.router.add_route("/plain", secret, methods=["GET"])
    assert len(list(routes_of(service.app))) == before + 1
    assert await assert_every_route_needs_a_token(service.app) >= 10
    async with service.client() as client:
        assert (await client.get("/plain")).content == b"secret"


async def test_the_walk_finds_a_route_that_is_open(service: MemoryService) -> None:
    """A mutant without the middleware and a route without a check of its own: the walk must fail."""

    async def secret(_: Any) -> Response:
        return Response(b"secret")

    service.app.router.add_route("/plain", secret, methods=["GET"])
    service.app.user_middleware = [one for one in service.app.user_middleware if "Auth" not in str(one.cls)]
    with pytest.raises(AssertionError, match="/plain answered 200"):
        await assert_every_route_needs_a_token(service.app)


@pytest.mark.parametrize("path", OPEN)
async def test_open_routes_answer_anybody(service: MemoryService, path: str) -> None:
    async with service.anonymous() as client:
        assert (await client.get(path)).status_code == 200


async def test_routes_that_do_not_exist_are_not_told_apart(service: MemoryService) -> None:
    async with service.anonymous() as client:
        assert (await client.get("/nothing")).status_code == 401
    async with service.client() as client:
        missing = await client.get("/nothing")
        assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
        wrong = await client.delete("/notes")
        assert (wrong.status_code, wrong.json()["code"], wrong.headers["Allow"]) == (
            405,
            "METHOD_NOT_ALLOWED",
            "POST",
        )


def test_openapi_describes_every_route_and_scope(service: MemoryService) -> None:
    assert_openapi_is_complete(service.app)
    document = service.app.openapi()
    assert document["paths"]["/thin"]["post"]["security"] == [{"oauth2": ["registration:notes:write"]}]
    assert "Problem" in document["components"]["schemas"]
    assert "422" not in document["paths"]["/notes"]["post"]["responses"]


async def test_an_undescribed_route_is_found(service: MemoryService) -> None:
    async def hidden(_: Any) -> Response:
        return Response(b"")

    service.app.router.add_route("/hidden", hidden, methods=["GET"])
    with pytest.raises(AssertionError, match="undescribed"):
        assert_openapi_is_complete(service.app)


async def test_a_head_request_is_as_open_as_its_get(service: MemoryService) -> None:
    async with service.anonymous() as client:
        assert (await client.head("/notes")).status_code == 401
        assert (await client.post("/healthz")).status_code == 401
