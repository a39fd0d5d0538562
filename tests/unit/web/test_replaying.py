"""Operators' replays over HTTP: list, compare, swap; ``liangxian verify`` and ``replay`` rest on it (I-30)."""

from __future__ import annotations

import sqlalchemy as sa

from shared.testing.service import MemoryService
from tests.unit.web.conftest import NOTE, WRITE

OPS = ["registration:ops"]


async def taken(service: MemoryService, *texts: str) -> None:
    async with service.client([WRITE]) as client:
        for text in texts:
            body = {"text": text}
            answer = await client.post("/notes", json=body, headers={"Idempotency-Key": text})
            assert answer.status_code == 201
    await service.settle()


async def test_a_replay_that_equals_the_live_rows_shows_no_difference(service: MemoryService) -> None:
    await taken(service, "a", "b")
    async with service.client(OPS) as client:
        names = (await client.get("/ops/projections")).json()["items"]
        report = (await client.post("/ops/projections/notes:replay", json={"swap": False})).json()
    assert names == ["notes"]
    assert (report["differences"], report["events"], report["swapped"]) == (0, 2, False)
    table = {"table": "note", "live": 2, "replayed": 2, "only_live": 0, "only_replayed": 0}
    assert report["tables"] == [table]


async def test_a_row_nobody_recorded_is_a_difference_until_it_is_swapped_away(service: MemoryService) -> None:
    """I-30: replay of all events reproduces every projection; a planted row shows."""
    await taken(service, "a")
    async with service.ports.database.begin() as connection:
        await connection.execute(sa.insert(NOTE).values(text="planted", division="370406"))
    async with service.client(OPS) as client:
        path = "/ops/projections/notes:replay"
        found = [(await client.post(path, json={"swap": swap})).json() for swap in (False, True, False)]
    assert [each["differences"] for each in found] == [1, 1, 0]


async def test_all_read_models_are_replayed_in_one_pass(service: MemoryService) -> None:
    """I-30: what ``verify`` asks; nothing is being replayed afterwards."""
    await taken(service, "a", "b")
    async with service.client(OPS) as client:
        found = (await client.post("/ops/projections:replay", json={"swap": False})).json()["items"]
        listed = (await client.get("/ops/projections")).json()
    assert [(each["projection"], each["differences"], each["events"]) for each in found] == [("notes", 0, 2)]
    assert listed == {"items": ["notes"], "replaying": None}


async def test_an_unknown_read_model_is_a_404(service: MemoryService) -> None:
    async with service.client(OPS) as client:
        answer = await client.post("/ops/projections/nothing:replay", json={})
    assert (answer.status_code, answer.json()["rule"]) == (404, "PROJECTION_UNKNOWN")


async def test_publishing_again_needs_a_relay(service: MemoryService) -> None:
    """The roles of a process may leave the relay to another one."""
    async with service.client(OPS) as client:
        answer = await client.post("/ops/relay:resend", json={"from": 1})
    assert answer.status_code in (200, 409)


async def test_replays_are_for_operators(service: MemoryService) -> None:
    async with service.client([WRITE]) as client:
        assert (await client.get("/ops/projections")).status_code == 403
