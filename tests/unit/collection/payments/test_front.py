"""The front answers as the stack answers (ADR 0021): every ordinary and every odd request, to both."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec
import pytest

from services.collection.campaigns import events as campaign_events
from shared.eventstore.commands import Command, Done, Outcome, Then
from shared.eventstore.log import Failure
from shared.kernel.errors import OverloadedError
from shared.observability.logging import bound, current_correlation
from tests.unit.collection.money_service import CAMPAIGN, SCOPES, MoneyService, assessed, opened, payment

PERSONS = ("p1", "p2", "p3")
JSON = {"Content-Type": "application/json"}
ORDER = msgspec.json.encode(payment("O1", "p1"))


async def services(*persons: str, warm: bool = True) -> tuple[MoneyService, MoneyService]:
    """The same service twice: behind its front, and behind the stack alone. warm: which campaigns there are has been
    read before, so that the front has a command at once."""
    fronted, stacked = await opened(*persons), await opened(*persons)
    assert fronted.service.app.front is not None
    stacked.service.app.front = None
    for each in (fronted, stacked) if warm else ():
        unknown = msgspec.json.encode(payment("W", "nobody"))
        assert (await sent(each, unknown, JSON | {"Idempotency-Key": "warm"}, SCOPES)).status_code == 422
    return fronted, stacked


async def sent(
    money: MoneyService, content: Any, headers: Mapping[str, str], scopes: list[str]
) -> httpx.Response:
    async with money.service.client(scopes) as client:
        return await client.post("/payments", content=content, headers=headers)


def seen(response: httpx.Response) -> tuple[Any, ...]:
    """What a caller sees, but for the correlation, which is the request's own."""
    body = msgspec.json.decode(response.content) if response.content else None
    if isinstance(body, dict):
        body.pop("instance", None)
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    assert headers.pop("x-correlation-id")
    return response.status_code, body, headers


def at(moment: str, *, captured: bool) -> bytes:
    """An order paid at a moment no calendar reaches; final money is not refused for anything else."""
    return msgspec.json.encode(payment("O1", "p1") | {"paid_at": moment, "captured": captured})


async def in_parts() -> AsyncIterator[bytes]:
    yield ORDER[:20]
    yield ORDER[20:]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(ORDER, {"Idempotency-Key": "k1"}, 201, id="ordinary"),
        pytest.param(msgspec.json.encode(payment("O2", "p9")), {"Idempotency-Key": "k1"}, 422, id="refused"),
        pytest.param(ORDER, {}, 400, id="no key"),
        pytest.param(ORDER, {"Idempotency-Key": "k" * 256}, 400, id="long key"),
        pytest.param(b"{", {"Idempotency-Key": "k1"}, 400, id="malformed"),
        pytest.param(b'{"order_no": 1}', {"Idempotency-Key": "k1"}, 422, id="invalid"),
        *[
            pytest.param(at(moment, captured=True), {"Idempotency-Key": "k1"}, 422, id=moment)
            for moment in ("0001-01-01T00:00:00Z", "1899-12-31T23:59:59+08:00", "9999-12-31T16:00:00Z")
        ],
        pytest.param(b'{"order_no": "\\u0000"}', {"Idempotency-Key": "k1"}, 422, id="not storable"),
        pytest.param(b" " * (1 << 20) + ORDER, {"Idempotency-Key": "k1"}, 413, id="too large"),
        pytest.param(ORDER, {"Idempotency-Key": "k1", "Authorization": "Bearer x"}, 401, id="bad token"),
        pytest.param(ORDER, {"Idempotency-Key": "k1", "Authorization": "Basic x"}, 401, id="no bearer"),
        pytest.param(ORDER, {"Idempotency-Key": "k1", "Min-Log-Position": "x"}, 400, id="bad position"),
        pytest.param(ORDER, {"Idempotency-Key": "k1", "Min-Log-Position": "1"}, 201, id="position"),
        pytest.param(ORDER, {"Idempotency-Key": "k1", "Content-Type": "text/plain"}, 201, id="media type"),
    ],
)
async def test_the_front_answers_as_the_stack(content: bytes, headers: dict[str, str], status: int) -> None:
    """Status, body and headers are the same, whatever the request is like."""
    answers = [seen(await sent(each, content, JSON | headers, SCOPES)) for each in await services(*PERSONS)]
    assert answers[0] == answers[1]
    assert answers[0][0] == status


async def test_a_moment_out_of_the_calendar_is_named_and_nothing_is_written() -> None:
    """Given money said to be paid before any time zone was, then its event is never in the log: read models would stop
    at it for good."""
    for each in await services(*PERSONS):
        head = await each.service.parts.log.head()
        refused = await sent(
            each, at("0001-01-01T00:00:00Z", captured=True), JSON | {"Idempotency-Key": "k1"}, SCOPES
        )
        assert (refused.json()["code"], refused.json()["field"]) == ("VALIDATION_FAILED", "paid_at")
        assert await each.service.parts.log.head() == head


async def test_what_memory_does_not_know_is_read_first() -> None:
    """The first payment of a year: its campaigns are looked up."""
    ordinary = JSON | {"Idempotency-Key": "k1"}
    answers = [seen(await sent(each, ORDER, ordinary, SCOPES)) for each in await services("p1", warm=False)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 201


async def test_what_memory_no_longer_knows_whole_is_read_again() -> None:
    """Given a campaign of the year that was opened since, then its people pay without anybody noticing."""
    later = "370406-2020-2"
    answers = []
    for each in await services():
        opening = await each.events(campaign_events.CampaignOpened)
        await each.given(msgspec.structs.replace(opening[0], campaign=later), assessed("p1", campaign=later))
        each.facts.campaigns.known[later] = each.facts.campaigns.known[CAMPAIGN]
        answers.append(seen(await sent(each, ORDER, JSON | {"Idempotency-Key": "k1"}, SCOPES)))
    assert answers[0] == answers[1]
    assert (answers[0][0], answers[0][1]["lines"][0]["campaign"]) == (201, later)


async def test_an_order_number_that_is_known_is_compared_alike() -> None:
    """Same body under another key: 200; another body: 409 (I-17)."""
    shorter = msgspec.json.encode(payment("O1", "p1"))
    answers = []
    for each in await services(*PERSONS):
        bodies = [msgspec.json.encode(payment("O1", "p1", "p2"))] * 2 + [shorter]
        responses = [
            await sent(each, body, JSON | {"Idempotency-Key": f"k{number}"}, SCOPES)
            for number, body in enumerate(bodies)
        ]
        answers.append([seen(response) for response in responses])
    assert answers[0] == answers[1]
    assert [answer[0] for answer in answers[0]] == [201, 200, 409]


async def test_an_answer_that_cannot_be_told_ends_its_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given a fault between the commit and the answer, then the caller asks again, and the writer goes on."""
    fronted, _ = await services(*PERSONS)
    ordinary = JSON | {"Idempotency-Key": "k1"}
    with monkeypatch.context() as patch:
        patch.setattr("shared.web.front._answer", None)
        with pytest.raises(httpx.RemoteProtocolError):
            await sent(fronted, ORDER, ordinary, SCOPES)
    again = await sent(fronted, ORDER, ordinary, SCOPES)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")


async def test_a_body_in_parts_and_a_missing_scope_are_the_stacks_matter() -> None:
    """What the front does not take reaches the stack whole."""
    for each in await services(*PERSONS):
        assert (await sent(each, in_parts(), JSON | {"Idempotency-Key": "k1"}, SCOPES)).status_code == 201
        refused = await sent(each, ORDER, JSON | {"Idempotency-Key": "k2"}, ["collection:payments:read"])
        assert (refused.status_code, refused.json()["code"]) == (403, "INSUFFICIENT_SCOPE")


async def test_a_key_means_the_same_to_both() -> None:
    """A request replayed through the other way in is a replay, with the answer it had."""
    fronted, _ = await services(*PERSONS)
    first = await sent(fronted, ORDER, JSON | {"Idempotency-Key": "k1"}, SCOPES)
    fronted.service.app.front = None
    again = await sent(fronted, ORDER, JSON | {"Idempotency-Key": "k1"}, SCOPES)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("headers", "correlation"),
    [
        ({"X-Correlation-Id": "gateway-00000001"}, "gateway-00000001"),
        ({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, "a" * 32),
    ],
)
async def test_the_callers_correlation_is_kept(headers: dict[str, str], correlation: str) -> None:
    """In the answer and on the event, as the stack keeps it."""
    for each in await services(*PERSONS):
        response = await sent(each, ORDER, JSON | {"Idempotency-Key": "k1"} | headers, SCOPES)
        assert response.headers["X-Correlation-Id"] == correlation
        page = await each.service.parts.log.read(0, 1000)
        assert page[-1].metadata.correlation == correlation


async def test_what_is_logged_of_a_request_bears_its_own_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the writer's task began in another request, then a fault of this one is told under this one's."""
    fronted, _ = await services(*PERSONS)
    ordinary = JSON | {"Idempotency-Key": "k1", "X-Correlation-Id": "gateway-00000001"}

    def later(_: Command, then: Then) -> None:
        with bound(correlation="gateway-00000002"):
            then(Done(b"{}", 201, 1))

    async def seen_by(*_: Any) -> Outcome:
        told.append(current_correlation())
        return Done(b"{}", 201, 1)

    told: list[str] = []
    front = fronted.service.app.front
    assert front is not None
    hot, decoder = front._commands["/payments"]
    front._commands["/payments"] = (
        dataclasses.replace(hot, final=lambda _: False, handle=seen_by),
        decoder,
    )
    monkeypatch.setattr(fronted.service.ports.store, "submit", later)
    assert (await sent(fronted, ORDER, ordinary, SCOPES)).status_code == 201
    assert told == ["gateway-00000001"]


@pytest.mark.parametrize(("fault", "status"), [(OverloadedError(), 503), (RuntimeError("secret"), 500)])
async def test_a_fault_is_a_problem_without_its_text(
    fault: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 says when to come back; 500 says nothing of what went wrong."""

    async def failing(_: Command) -> Outcome:
        raise fault

    def at_once(_: Command, __: Then) -> None:
        raise fault

    def later(_: Command, then: Then) -> None:
        then(fault)

    answers = []
    (fronted, stacked), ordinary = await services(*PERSONS), JSON | {"Idempotency-Key": "k1"}
    for each, submitted in ((stacked, None), (fronted, at_once), (fronted, later)):
        monkeypatch.setattr(each.service.ports.store, "execute", failing)
        monkeypatch.setattr(each.service.ports.store, "submit", submitted)
        response = await sent(each, ORDER, ordinary, SCOPES)
        assert "secret" not in response.text
        answers.append(seen(response))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == status
    assert ("retry-after" in answers[0][2]) == (status == 503)


async def test_a_full_queue_refuses_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overload: 503 and Retry-After, before the request is one as behind the front and behind the stack."""
    fronted, stacked = await services(*PERSONS)
    front = fronted.service.app.front
    assert front is not None
    assert front.shed("/payments", []) is None
    for each in (fronted, stacked):
        monkeypatch.setattr(each.service.ports.store._admission, "room", 0)
    refused = [
        await sent(each, ORDER, JSON | {"Idempotency-Key": "k1"}, SCOPES) for each in (fronted, stacked)
    ]
    shed = front.shed("/payments", [])
    assert shed is not None
    straight = httpx.Response(shed.status, headers=list(shed.headers), content=shed.body)
    answers = [seen(each) for each in (*refused, straight)]
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0][0], answers[0][2]["retry-after"]) == (503, "1")
    assert counted(fronted, "OVERLOADED") == 2
    assert counted(stacked, "OVERLOADED") == 0  # what the writer refuses, the writer counts


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([(b"x-correlation-id", b"order-20250101")], "order-20250101"),
        ([(b"traceparent", f"00-{'a' * 32}-{'b' * 16}-01".encode())], "a" * 32),
        ([(b"x-correlation-id", b"110101199003077758")], ""),
    ],
)
async def test_what_is_shed_keeps_the_callers_correlation(
    headers: list[tuple[bytes, bytes]], kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in every answer; what looks like a person's number is none."""
    money = await opened()
    monkeypatch.setattr(money.service.ports.store._admission, "room", 0)
    assert money.service.app.front is not None
    shed = money.service.app.front.shed("/payments", headers)
    assert shed is not None
    found, body = dict(shed.headers)[b"x-correlation-id"].decode(), msgspec.json.decode(shed.body)
    assert found == body["instance"]
    assert (found == kept) == bool(kept)
    assert len(found) in (len(kept), 32, 36)


@pytest.mark.parametrize(
    ("method", "target"), [(b"GET", b"/payments"), (b"POST", b"/payments?x=1"), (b"POST", b"/imports")]
)
async def test_only_the_ordinary_request_of_a_hot_command_is_hot(method: bytes, target: bytes) -> None:
    """Reading and everything else is the stack's."""
    front = (await opened()).service.app.front
    assert front is not None
    assert front.path(method, target) is None
    assert front.path(b"POST", b"/payments") == "/payments"


def counted(money: MoneyService, code: str) -> float:
    """``liangxian_refusals_total`` of a code."""
    sample = money.service.ports.metrics.registry.get_sample_value
    return sample("liangxian_refusals_total", {"service": "collection", "code": code}) or 0.0


@pytest.mark.parametrize(
    ("failure", "code"), [(Failure.CONNECTION, "NOT_READY"), (Failure.BUSY, "OVERLOADED")]
)
async def test_a_database_away_or_too_busy_is_counted_by_its_code(
    failure: Failure, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given 503 of either cause, then alarms can tell overload from a database that is away (issue 5 §5)."""

    async def failing(_: Command) -> Outcome:
        raise TimeoutError

    def failing_later(_: Command, then: Then) -> None:
        then(TimeoutError())

    for each in await services(*PERSONS):
        monkeypatch.setattr(each.service.ports.store, "execute", failing)
        monkeypatch.setattr(each.service.ports.store, "submit", failing_later)
        monkeypatch.setattr(each.service.parts.log, "failure", lambda _: failure)
        answer = await sent(each, ORDER, JSON | {"Idempotency-Key": "k1"}, SCOPES)
        assert (answer.status_code, answer.json()["code"], counted(each, code)) == (503, code, 1)
