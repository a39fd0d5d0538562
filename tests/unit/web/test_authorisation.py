"""Scopes and divisions (architecture §6): 401, INSUFFICIENT_SCOPE, DIVISION_FORBIDDEN; the development issuer."""

from __future__ import annotations

import pytest

from shared.security.issuer import Client
from shared.testing.service import MemoryService, memory_service
from tests.unit.web.conftest import READ, SERVICE, WRITE

NOTE = {"text": "a", "division": "370406101201"}
KEY = {"Idempotency-Key": "k1"}


async def test_a_token_without_the_scope_is_refused(service: MemoryService) -> None:
    async with service.client([READ]) as client:
        for path, body in (("/notes", NOTE), ("/thin", NOTE)):
            refused = await client.post(path, json=body, headers=KEY)
            assert (refused.status_code, refused.json()["code"]) == (403, "INSUFFICIENT_SCOPE")
            assert refused.json()["rule"] == WRITE


@pytest.mark.parametrize(
    ("divisions", "status"), [([""], 201), (["370406"], 201), (["370407"], 403), ([], 403)]
)
async def test_a_caller_acts_in_its_divisions_only(
    service: MemoryService, divisions: list[str], status: int
) -> None:
    async with service.client([WRITE], divisions) as client:
        response = await client.post("/notes", json=NOTE, headers=KEY)
    assert response.status_code == status
    if status == 403:
        assert response.json()["code"] == "DIVISION_FORBIDDEN"


@pytest.mark.parametrize(
    ("header", "rule", "error"),
    [
        (None, "TOKEN_MISSING", False),
        ("", "TOKEN_MISSING", False),
        ("Basic abc", "TOKEN_MISSING", False),
        ("Bearer", "TOKEN_MISSING", False),
        ("Bearer a.b.c", "TOKEN_SIGNATURE", True),
        ("bearer nonsense", "TOKEN_MALFORMED", True),
    ],
)
async def test_why_a_token_is_refused_is_told(
    service: MemoryService, header: str | None, rule: str, error: bool
) -> None:
    async with service.anonymous({} if header is None else {"Authorization": header}) as client:
        response = await client.get("/notes")
    assert (response.status_code, response.json()["rule"]) == (401, rule)
    assert ("invalid_token" in response.headers["WWW-Authenticate"]) is error


async def test_the_platforms_scopes_may_be_general_or_of_a_service(service: MemoryService) -> None:
    for scope, status in (("ops", 200), ("registration:ops", 200), ("collection:ops", 403)):
        async with service.client([scope]) as client:
            assert (await client.get("/ops/lag")).status_code == status


CLIENTS = [Client("bank", "pass word&", "bank", (READ,), ("370406",))]


@pytest.mark.parametrize("basic", [True, False])
async def test_the_issuer_grants_tokens_that_work(basic: bool) -> None:
    async with memory_service(SERVICE, clients=CLIENTS) as service, service.anonymous() as client:
        form = {"grant_type": "client_credentials"}
        if not basic:
            form |= {"client_id": "bank", "client_secret": "pass word&"}
        auth = ("bank", "pass word&") if basic else None
        granted = await client.post("/oauth/token", data=form, auth=auth)
        assert (granted.status_code, granted.headers["Cache-Control"]) == (200, "no-store")
        token = granted.json()["access_token"]
        read = await client.get("/notes", headers={"Authorization": f"Bearer {token}"})
        assert read.status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (
            {"grant_type": "client_credentials", "client_id": "bank", "client_secret": "no"},
            401,
            "invalid_client",
        ),
        (
            {"grant_type": "password", "client_id": "bank", "client_secret": "x"},
            400,
            "unsupported_grant_type",
        ),
        ({}, 400, "unsupported_grant_type"),
        (
            {
                "grant_type": "client_credentials",
                "client_id": "bank",
                "client_secret": "pass word&",
                "scope": "all",
            },
            400,
            "invalid_scope",
        ),
    ],
)
async def test_the_issuer_refuses_as_oauth2_says(form: dict[str, str], status: int, error: str) -> None:
    async with memory_service(SERVICE, clients=CLIENTS) as service, service.anonymous() as client:
        refused = await client.post("/oauth/token", data=form)
    assert (refused.status_code, refused.json()) == (status, {"error": error})


async def test_a_malformed_basic_header_is_no_crash(service: MemoryService) -> None:
    async with service.anonymous() as client:
        refused = await client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": "Basic %%%"}
        )
    assert refused.status_code == 401
