"""Idempotency-Key (architecture §3): replayed, reused 422, joined, missing 400; bound to the parsed body."""

from __future__ import annotations

import asyncio

import pytest

from shared.testing.service import MemoryService
from tests.unit.web.conftest import WRITE, NoteBody

NOTE = {"text": "a"}


async def test_the_first_answer_is_given_again(service: MemoryService) -> None:
    """White space and key order do not make another command."""
    async with service.client([WRITE]) as client:
        first = await client.post("/notes", json=NOTE, headers={"Idempotency-Key": "k"})
        again = await client.post(
            "/notes",
            content=b' {"division": "370406",  "text": "a"}',
            headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
        )
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (201, False)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert first.content == again.content
    assert first.headers["Log-Position"] == again.headers["Log-Position"] == "1"
    assert first.headers["Location"] == "/notes/a"


async def test_another_body_under_the_key_is_refused(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        await client.post("/notes", json=NOTE, headers={"Idempotency-Key": "k"})
        refused = await client.post("/notes", json={"text": "b"}, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, refused.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_refusal_is_judged_again(service: MemoryService) -> None:
    """A refusal wrote nothing: the same key may succeed later, with another body even."""
    async with service.client([WRITE]) as client:
        refused = await client.post("/notes", json={"text": "refused"}, headers={"Idempotency-Key": "k"})
        accepted = await client.post("/notes", json=NOTE, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, accepted.status_code) == (422, 201)


async def test_keys_belong_to_an_organisation_and_an_operation(service: MemoryService) -> None:
    headers = {"Idempotency-Key": "k"}
    async with service.client([WRITE], organisation="one") as client:
        assert (await client.post("/notes", json=NOTE, headers=headers)).status_code == 201
        assert (await client.post("/thin", json={"text": "t"}, headers=headers)).status_code == 201
    async with service.client([WRITE], organisation="two") as client:
        assert (await client.post("/notes", json={"text": "c"}, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "IDEMPOTENCY_KEY_MISSING"),
        ("  ", "IDEMPOTENCY_KEY_MISSING"),
        ("x" * 256, "IDEMPOTENCY_KEY_TOO_LONG"),
    ],
)
async def test_a_required_key_is_required(service: MemoryService, key: str | None, code: str) -> None:
    async with service.client([WRITE]) as client:
        refused = await client.post(
            "/notes", json=NOTE, headers={} if key is None else {"Idempotency-Key": key}
        )
    assert (refused.status_code, refused.json()["code"]) == (400, code)


async def test_the_longest_key_is_taken(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        accepted = await client.post("/notes", json=NOTE, headers={"Idempotency-Key": "x" * 255})
    assert accepted.status_code == 201


async def test_where_it_is_optional_the_natural_guard_speaks(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        assert (await client.post("/thin", json=NOTE)).status_code == 201
        again = await client.post("/thin", json=NOTE)
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_EXISTS")


async def test_concurrent_callers_with_one_key_get_one_answer(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        answers = await asyncio.gather(
            *(client.post("/notes", json=NOTE, headers={"Idempotency-Key": "k"}) for _ in range(8))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await service.parts.log.head() == 1


async def test_a_caller_that_went_away_still_paid(service: MemoryService) -> None:
    """The client's task is cancelled while the command is queued; its retry gets the recorded answer."""
    async with service.client([WRITE]) as client:
        gone = asyncio.ensure_future(client.post("/notes", json=NOTE, headers={"Idempotency-Key": "k"}))
        for _ in range(3):
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        retried = await client.post("/notes", json=NOTE, headers={"Idempotency-Key": "k"})
    assert retried.status_code == 201
    assert await service.parts.log.head() == 1


def test_the_digest_is_of_the_parsed_command() -> None:
    from shared.web.idempotency import digest_of

    assert digest_of(NoteBody(text="a")) == digest_of(NoteBody.model_validate_json('{"text":"a"}'))
    assert digest_of(NoteBody(text="a")) != digest_of(NoteBody(text="b"))
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
