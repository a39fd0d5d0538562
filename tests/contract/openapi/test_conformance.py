"""OpenAPI of all four services under schemathesis, with tokens: what is answered is what is described.

Every operation gets a few generated requests that fit its description and a few that do not; each answer has a
described status, content type, headers and body, and nothing that breaks the description is taken for good.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.kernel.clock import SeededRuntime
from shared.observability.logging import configure
from shared.testing.service import MemoryService, memory_service
from tests.contract.web.test_no_server_errors import scopes_of

EXAMPLES = 4
SERVICES = ("registration", "collection", "subsidy", "notification")
SENT = ("method", "url", "params", "json", "data", "headers", "cookies")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def _examples(strategy: Any) -> list[Any]:
    """A few values of a strategy, the same in every run; none where nothing can be wrong with a request."""
    found: list[Any] = []

    @seed(2)
    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    with contextlib.suppress(Unsatisfiable):
        collect()
    return found


def _cases(document: dict[str, Any]) -> Iterator[Any]:
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield from _examples(operation.as_strategy(generation_mode=mode))


async def _check(service: MemoryService, problems: dict[str, str]) -> collections.Counter[str]:
    seen: collections.Counter[str] = collections.Counter()
    document = service.app.openapi()
    async with service.client(scopes_of(document)) as client:
        for number, case in enumerate(_cases(document)):
            sent = {k: v for k, v in case.as_transport_kwargs(base_url="http://t").items() if k in SENT}
            if isinstance(sent.get("data"), str | bytes):
                sent["content"] = sent.pop("data")
            headers = {**(sent.pop("headers", None) or {})}
            headers.pop("Authorization", None)
            headers.setdefault("Idempotency-Key", f"conformance-{number}")
            try:
                response = await client.request(**sent, headers=headers)
            except (UnicodeEncodeError, ValueError):  # no HTTP client would send that header
                seen["unsendable"] += 1
                continue
            seen[f"{response.status_code // 100}XX"] += 1
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as group:
                for failure in group.exceptions:
                    problems.setdefault(
                        f"{case.method} {case.operation.path} {type(failure).__name__}",
                        f"{response.status_code} {getattr(failure, 'message', failure)}",
                    )
    return seen


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SERVICES)
async def test_what_is_answered_is_what_is_described(name: str) -> None:
    """Statuses, content types, headers and bodies of every operation; broken requests are refused."""
    load_all_checks()
    problems: dict[str, str] = {}
    configure(name, SeededRuntime(1), "INFO", io.StringIO())
    try:
        async with memory_service(importlib.import_module(f"services.{name}.app").SERVICE) as service:
            seen = await _check(service, problems)
    finally:
        structlog.reset_defaults()
    assert problems == {}, "\n".join(f"{where}: {what}" for where, what in sorted(problems.items()))
    assert seen["2XX"] >= 10, seen
    assert seen["4XX"] >= 10, seen
