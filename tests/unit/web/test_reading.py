"""Pages, positions, correlation (architecture §3 read models, §6 paging)."""

from __future__ import annotations

import pytest

from shared.testing.service import MemoryService
from shared.web.paging import encode_cursor
from tests.unit.web.conftest import READ, WRITE


async def take(service: MemoryService, *texts: str) -> int:
    position = 0
    async with service.client([WRITE]) as client:
        for text in texts:
            response = await client.post("/thin", json={"text": text})
            position = int(response.headers["Log-Position"])
    return position


async def test_pages_go_on_behind_the_last_key(service: MemoryService) -> None:
    """Rows that come in before the cursor move nothing."""
    await take(service, "b", "d", "f")
    await service.settle()
    async with service.client([READ]) as client:
        first = (await client.get("/notes", params={"limit": 2})).json()
        assert first["items"] == ["b", "d"]
        await take(service, "a", "g")
        await service.settle()
        second = (await client.get("/notes", params={"limit": 2, "after": first["next"]})).json()
        assert second == {"items": ["f", "g"], "next": None}


@pytest.mark.parametrize("limit", ["0", "5001", "-1", "x"])
async def test_limits_are_bounded(service: MemoryService, limit: str) -> None:
    async with service.client([READ]) as client:
        refused = await client.get("/notes", params={"limit": limit})
    assert (refused.status_code, refused.json()["field"]) == (422, "limit")


@pytest.mark.parametrize("cursor", ["%%%", "abc", encode_cursor([1]), encode_cursor(["a", "b"]), "é"])
async def test_a_cursor_we_did_not_give_is_refused(service: MemoryService, cursor: str) -> None:
    async with service.client([READ]) as client:
        refused = await client.get("/notes", params={"after": cursor})
    assert (refused.status_code, refused.json()["code"]) == (400, "CURSOR_INVALID")


async def test_a_position_not_reached_is_a_503(service: MemoryService) -> None:
    """Nothing projects here: the wait ends after 2 s (simulated) with Retry-After."""
    position = await take(service, "a")
    before = service.parts.runtime.monotonic()
    async with service.client([READ]) as client:
        behind = await client.get("/notes", headers={"Min-Log-Position": str(position)})
        assert (behind.status_code, behind.json()["code"]) == (503, "POSITION_NOT_REACHED")
        assert behind.headers["Retry-After"] == "1"
        assert 2 <= service.parts.runtime.monotonic() - before < 3
        await service.settle()
        there = await client.get("/notes", headers={"Min-Log-Position": str(position)})
        assert there.json()["items"] == ["a"]


@pytest.mark.parametrize("position", ["-1", "1.5", "x", "9" * 19, "١"])
async def test_a_position_that_is_none_is_refused(service: MemoryService, position: str) -> None:
    async with service.client([READ]) as client:
        refused = await client.get("/notes", headers={"Min-Log-Position": position.encode()})
    assert (refused.status_code, refused.json()["code"]) == (400, "HEADER_INVALID")


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("headers", "correlation"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Correlation-Id": "own-correlation"}, TRACE),
        ({"X-Correlation-Id": "own-correlation"}, "own-correlation"),
        (
            {"X-Correlation-Id": "01932b7c-0000-7000-8000-123456789012"},
            "01932b7c-0000-7000-8000-123456789012",
        ),
    ],
)
async def test_a_callers_correlation_is_kept_on_events(
    service: MemoryService, headers: dict[str, str], correlation: str
) -> None:
    async with service.client([WRITE]) as client:
        response = await client.post("/thin", json={"text": "a"}, headers=headers)
    assert response.headers["X-Correlation-Id"] == correlation
    (recorded,) = await service.parts.log.read(0, 10)
    assert recorded.metadata.correlation == correlation
    assert (recorded.metadata.organisation, recorded.metadata.actor) == ("test-organisation", "test-client")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": "nonsense"},
        {"X-Correlation-Id": "short"},
        {"X-Correlation-Id": "370406199001019997"},
        {"X-Correlation-Id": "phone-13900009999"},
        {"X-Correlation-Id": "a b c d e f g h"},
    ],
)
async def test_what_is_no_correlation_is_replaced(service: MemoryService, headers: dict[str, str]) -> None:
    """A number of a person must not become an id on every event."""
    async with service.client([READ]) as client:
        response = await client.get("/notes", headers=headers)
    assert response.headers["X-Correlation-Id"].count("-") == 4
    assert response.headers["X-Correlation-Id"] not in headers.values()
