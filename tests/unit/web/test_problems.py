"""RFC 9457 problems: stable codes, field and rule, the correlation id, never a value (architecture §6)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import asyncpg
import pytest
import structlog

from shared.eventstore.postgres import failure_of
from shared.kernel.clock import SeededRuntime
from shared.kernel.errors import ProblemError, Refusal
from shared.observability.logging import configure
from shared.testing.http import MARKED_NAME, MARKED_NUMBER, MARKED_PHONE, assert_no_personal_data
from shared.testing.service import MemoryService
from shared.web.app import UNAVAILABLE
from shared.web.bodies import refuse_unstorable
from shared.web.context import failure
from shared.web.problems import STATUS, TITLES, problem_of, problem_response, status_of
from tests.unit.web.conftest import READ, WRITE

KEY = {"Idempotency-Key": "k1"}


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure("registration", SeededRuntime(1), "DEBUG", stream)
    yield stream
    structlog.reset_defaults()


def test_a_problem_carries_code_rule_clause_and_field() -> None:
    problem = problem_of(Refusal("ALREADY_PAID", "I-17", "002:L1", "lines.0"), "corr")
    assert problem.type == "urn:liangxian:problem:ALREADY_PAID"
    assert (problem.status, problem.rule, problem.clause, problem.field) == (409, "I-17", "002:L1", "lines.0")
    assert problem.instance == "corr"
    assert problem.title.split(" / ")[1].isascii()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("IDEMPOTENCY_KEY_MISSING", 400),
        ("IDEMPOTENCY_KEY_REUSED", 422),
        ("IDEMPOTENCY_KEY_IN_USE", 409),
        ("ALREADY_PAID", 409),
        ("AMOUNT_NOT_ASSESSED", 422),
        ("PERSON_DECEASED", 409),
        ("NOT_ON_ROSTER", 409),
        ("OUTSIDE_WINDOW", 409),
        ("CHANNEL_NOT_ALLOWED", 422),
        ("POLICY_UNSPECIFIED", 422),
        ("DIVISION_FORBIDDEN", 403),
        ("OVERLOADED", 503),
        ("CONCURRENT_CHANGE", 409),
        ("TIER_NOT_ALLOWED", 422),
        ("AGE_UNDER_16", 422),
        ("HUKOU", 422),
    ],
)
def test_the_published_codes_have_their_status(code: str, status: int) -> None:
    """Interfaces: these stay put."""
    assert status_of(Refusal(code)) == status
    assert code in TITLES


def test_every_code_with_a_status_has_a_title_or_is_a_business_refusal() -> None:
    assert {code for code in STATUS if STATUS[code] in (400, 401, 403, 404, 405, 413, 415, 500, 503)} <= (
        TITLES.keys()
    )


def test_503_always_says_when_to_come_back() -> None:
    assert problem_response(Refusal("OVERLOADED")).headers["Retry-After"] == "1"
    assert problem_response(Refusal("OVERLOADED"), retry_after=9).headers["Retry-After"] == "9"


async def test_overload_and_problems_of_routes_go_out_as_problems(service: MemoryService) -> None:
    async with service.client([READ]) as client:
        busy = await client.get("/overloaded")
        assert (busy.status_code, busy.headers["Retry-After"], busy.json()["code"]) == (
            503,
            "7",
            "OVERLOADED",
        )
        dead = await client.get("/problem")
        assert (dead.status_code, dead.json()["code"]) == (409, "PERSON_DECEASED")
        assert dead.headers["Content-Type"] == "application/problem+json"
        assert dead.json()["instance"] == dead.headers["X-Correlation-Id"]


async def test_a_refusal_of_a_decision_is_a_problem(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        refused = await client.post("/notes", json={"text": "refused"}, headers=KEY)
    assert refused.status_code == 422
    assert refused.json()["clause"] == "002:L69"
    assert refused.json()["instance"] == refused.headers["X-Correlation-Id"]


@pytest.mark.parametrize(
    ("body", "field", "status"),
    [
        ({}, "text", 422),
        ({"text": MARKED_NUMBER + MARKED_NUMBER}, "text", 422),
        ({"text": "a", "on": MARKED_NUMBER}, "on", 422),
        ({"text": "a", MARKED_NAME: 1}, "", 422),
        ({"text": "a", "tags": {MARKED_NAME: "x"}}, "tags.*", 422),
        (MARKED_NUMBER, "", 422),
        ([MARKED_PHONE], "", 422),
    ],
)
async def test_validation_names_the_field_and_never_the_value(
    service: MemoryService, logs: io.StringIO, body: object, field: str, status: int
) -> None:
    """FastAPI's own 422 echoes the input, and keys of a body may be data too."""
    async with service.client([WRITE]) as client:
        refused = await client.post("/notes", json=body, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (status, "VALIDATION_FAILED")
    assert refused.json().get("field", "") == field
    assert_no_personal_data(refused.content, logs.getvalue(), str(refused.headers))


@pytest.mark.parametrize("path", ["/notes", "/thin"])
@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b'{"text": "a\\u0000b"}', "CONTROL_CHARACTER"),
        (b'{"text": "a", "tags": {"x": 99999999999999999999}}', "NUMBER_TOO_LARGE"),
        (b'{"text": "a", "tags": {"x": -12345678901234567}}', "NUMBER_TOO_LARGE"),
    ],
)
async def test_what_no_read_model_could_store_is_refused_at_the_door(
    service: MemoryService, path: str, content: bytes, rule: str
) -> None:
    """Nothing is written: an event that holds a NUL or a number of 70 bits would stop its readers for ever."""
    headers = KEY | {"Content-Type": "application/json"}
    async with service.client([WRITE]) as client:
        refused = await client.post(path, content=content, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "VALIDATION_FAILED")
    assert refused.json()["rule"] == rule
    assert await service.parts.log.head() == 0


@pytest.mark.parametrize("text", ["370406199001019997", 'a":12345678901234567', "\\\\u0001"])
async def test_long_digits_in_a_text_are_a_text(service: MemoryService, text: str) -> None:
    async with service.client([WRITE]) as client:
        taken = await client.post("/thin", json={"text": text})
    assert taken.status_code == 201


def test_what_cannot_be_stored_is_found_over_two_blocks() -> None:
    tail = refuse_unstorable(b"", b'{"text": "' + b"x" * 100 + b"\\u00")
    with pytest.raises(ProblemError):
        refuse_unstorable(tail, b'00"}')


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", f'{{"text": "{MARKED_NUMBER}'.encode()])
async def test_broken_json_is_a_400(service: MemoryService, content: bytes) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    async with service.client([WRITE]) as client:
        for path in ("/notes", "/thin"):
            refused = await client.post(path, content=content, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (400, "BODY_MALFORMED"), path
            assert_no_personal_data(refused.content)


async def test_a_thin_route_answers_faults_alike(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        wrong = await client.post("/thin", json={"text": "a", "times": MARKED_NUMBER})
        assert (wrong.status_code, wrong.json()["code"], wrong.json()["field"]) == (
            422,
            "VALIDATION_FAILED",
            "times",
        )
        assert_no_personal_data(wrong.content)
        large = await client.post("/thin", json={"text": "a" * 5000})
        assert (large.status_code, large.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_an_unexpected_error_is_logged_without_data(service: MemoryService, logs: io.StringIO) -> None:
    """The exception's text quotes a number; the answer, the log and the metrics do not."""
    async with service.client([WRITE, "ops"]) as client:
        failed = await client.post("/notes", json={"text": "broken"}, headers=KEY)
        metrics = await client.get("/metrics")
    assert (failed.status_code, failed.json()["code"]) == (500, "INTERNAL_ERROR")
    line = json.loads(logs.getvalue().splitlines()[0])
    assert (line["event"], line["error"], line["route"]) == ("request_failed", "ValueError", "/notes")
    assert line["correlation"] == failed.headers["X-Correlation-Id"]
    assert_no_personal_data(failed.content, logs.getvalue(), metrics.content)


async def test_marked_values_in_paths_and_headers_do_not_come_back(
    service: MemoryService, logs: io.StringIO
) -> None:
    """Paths are not logged and not metric labels; a number is no correlation id."""
    headers = {"X-Correlation-Id": f"id-{MARKED_NUMBER}", "Min-Log-Position": MARKED_NUMBER + "x"}
    async with service.client([READ, "imports:read", "ops"]) as client:
        answers = [
            await client.get(f"/imports/{MARKED_NUMBER}"),
            await client.get(f"/{MARKED_NUMBER}"),
            await client.get("/notes", params={"after": MARKED_NUMBER, "limit": MARKED_NUMBER}),
            await client.get("/notes", headers=headers),
            await client.get("/metrics"),
        ]
    assert [answer.status_code for answer in answers] == [404, 404, 422, 400, 200]
    assert_no_personal_data(
        *(a.content for a in answers), *(str(a.headers) for a in answers), logs.getvalue()
    )


def test_the_leak_detector_detects() -> None:
    for leak in (MARKED_NUMBER, f"x{MARKED_NAME}y", MARKED_PHONE.encode(), repr(MARKED_NAME.encode())):
        with pytest.raises(AssertionError):
            assert_no_personal_data(leak)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (asyncpg.QueryCanceledError("57014"), "OVERLOADED"),
        (asyncpg.DeadlockDetectedError("40P01"), "OVERLOADED"),
        (ConnectionResetError(), "NOT_READY"),
        (ZeroDivisionError(), "INTERNAL_ERROR"),
    ],
)
def test_whose_fault_it_was_decides_whether_to_ask_again(fault: Exception, code: str) -> None:
    """A statement that took too long is the server's matter: 503 with when to come back, not an error of ours."""
    answer = failure(fault, "c-1", "/payments", UNAVAILABLE.get(failure_of(fault)))
    told = json.loads(bytes(answer.body))
    assert (told["code"], told["instance"]) == (code, "c-1")
    assert (answer.status_code == 503) == ("Retry-After" in answer.headers) == (code != "INTERNAL_ERROR")
