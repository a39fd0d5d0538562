"""Every operation of every service, fed from its own OpenAPI: refused or answered, never a 5xx, never a leak."""

from __future__ import annotations

import collections
import importlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings

from shared.kernel.clock import SeededRuntime
from shared.observability.logging import configure
from shared.testing.http import assert_every_route_needs_a_token, assert_openapi_is_complete
from shared.testing.service import MemoryService, memory_service

EXAMPLES = 6
SERVICES = ("registration", "collection", "subsidy", "notification")
SENT = ("method", "url", "params", "json", "data")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def examples(strategy: Any) -> list[Any]:
    """A few values of a strategy, the same in every run."""
    found: list[Any] = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def cases_of(document: dict[str, Any]) -> Iterator[Any]:
    """Generated requests of each operation."""
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        yield from examples(result.ok().as_strategy())


def scopes_of(document: dict[str, Any]) -> set[str]:
    return {
        scope
        for operations in document["paths"].values()
        for operation in operations.values()
        for entry in operation.get("security", [])
        for scopes in entry.values()
        for scope in scopes
    }


def definition_of(name: str) -> Any:
    return importlib.import_module(f"services.{name}.app").SERVICE


async def answers(service: MemoryService, problems: list[str]) -> collections.Counter[int]:
    codes: collections.Counter[int] = collections.Counter()
    document = service.app.openapi()
    async with service.client(scopes_of(document)) as client:
        for number, case in enumerate(cases_of(document)):
            sent = {k: v for k, v in case.as_transport_kwargs(base_url="http://t").items() if k in SENT}
            if isinstance(sent.get("data"), str | bytes):
                sent["content"] = sent.pop("data")
            response = await client.request(**sent, headers={"Idempotency-Key": f"key-{number}"})
            codes[response.status_code] += 1
            if response.status_code >= 500:
                problems.append(f"{case.method} {case.operation.path}: {response.status_code}")
    return codes


@pytest.mark.parametrize("name", SERVICES)
async def test_generated_requests_meet_no_server_error(name: str) -> None:
    """A 500 is a hole in validation or a rule that raises instead of refusing."""
    problems: list[str] = []
    configure(name, SeededRuntime(1), "INFO", io.StringIO())
    try:
        async with memory_service(definition_of(name)) as service:
            codes = await answers(service, problems)
    finally:
        structlog.reset_defaults()
    assert problems == []
    assert codes[200] >= 10, f"hardly anything was accepted: {dict(codes)}"
    assert codes[422] + codes[400] + codes[409] >= 10, f"hardly anything was refused: {dict(codes)}"


@pytest.mark.parametrize("name", SERVICES)
async def test_every_route_of_every_service_needs_a_token_and_is_described(name: str) -> None:
    """architecture §6: the walk without a token, and the routes against OpenAPI."""
    async with memory_service(definition_of(name)) as service:
        assert await assert_every_route_needs_a_token(service.app) >= 10
        assert_openapi_is_complete(service.app)
