"""Task tables and history as files, through collection's routes."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import xlsxwriter

from services.collection.app import SERVICE
from shared.policy import dump, load_pack
from shared.testing.service import MemoryService, memory_service
from tests.integration.collection.conftest import CAMPAIGN, OPENED, SCOPES, VILLAGE, World

CSV = "text/csv"
NDJSON = "application/x-ndjson"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KEYS = itertools.count()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """ST-2020 published and its campaign open."""
    async with memory_service(SERVICE, today=OPENED) as service:
        world = World(service)
        await world.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
        await world.post("/packs/ST-2020:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
        await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 201)
        yield world


async def send(service: MemoryService, path: str, body: bytes, media: str, **query: Any) -> httpx.Response:
    headers = {"Idempotency-Key": f"file-{next(KEYS)}", "Content-Type": media}
    async with service.client(SCOPES, organisation="tax") as client:
        return await client.post(path, content=body, params=query, headers=headers)


def _table() -> list[tuple[str, str, int, int]]:
    """The ten towns of the plan's own task table, yuan."""
    table = load_pack("ST-2020").task_table
    assert table is not None
    return [(row.division, row.name, row.medical_persons, row.medical_amount_yuan or 0) for row in table.rows]


def _csv(rows: list[tuple[str, str, int, int]], encoding: str = "utf-8") -> bytes:
    lines = ["区划代码,名称,人数,金额", *(",".join(str(cell) for cell in row) for row in rows)]
    return "\r\n".join(lines).encode(encoding)


TARGETS = f"/campaigns/{CAMPAIGN}/targets:import"
STATED = {"insurance": "medical", "stated_total_persons": 437_854, "stated_total_amount": 113_842_040}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_the_task_table_of_the_plan_is_taken_from_a_file(world: World, encoding: str) -> None:
    """I-02, 002:L504-534: ten rows in yuan, 437,854 × 260 = 113,842,040, kept in fen."""
    answer = await send(world.service, TARGETS, _csv(_table(), encoding), CSV, **STATED)
    assert answer.status_code == 201, answer.text
    await world.service.settle()
    targets = (await world.get(f"/campaigns/{CAMPAIGN}"))["targets"]
    assert len(targets) == 10
    assert sum(row["amount"] for row in targets) == 11_384_204_000
    assert {(row["unit"], row["statistical_scope"]) for row in targets} == {("FEN", "ALL")}


async def test_a_spreadsheet_in_ten_thousand_yuan_keeps_its_unit(world: World) -> None:
    """D-19: the pension column is 万元 and is never added to fen."""
    held = io.BytesIO()
    with xlsxwriter.Workbook(held, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["区划代码", "名称", "人数", "金额"])
        sheet.write_row(1, 0, ["370406101", "店子镇", 11_300, 360])
    query = {
        "insurance": "pension",
        "unit": "万元",
        "stated_total_persons": 11_300,
        "stated_total_amount": 360,
    }
    answer = await send(world.service, TARGETS, held.getvalue(), XLSX, **query)
    assert answer.status_code == 201, answer.text
    await world.service.settle()
    (target,) = (await world.get(f"/campaigns/{CAMPAIGN}"))["targets"]
    assert (target["amount"], target["unit"], target["insurance"]) == (360, "WAN_YUAN", "pension")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"stated_total_persons": 437_855}, "TARGET_MISMATCH", "stated_total_persons"),
        ({"stated_total_amount": 113_842_041}, "TARGET_MISMATCH", "stated_total_amount"),
        ({"unit": "FEN"}, "TARGET_MISMATCH", "rows.0.amount"),
    ],
)
async def test_a_table_that_does_not_add_up_is_refused_whole(
    world: World, change: dict[str, Any], code: str, field: str
) -> None:
    """I-02: the stated totals and persons × standard hold, or no row is taken."""
    answer = await send(world.service, TARGETS, _csv(_table()), CSV, **{**STATED, **change})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)
    await world.service.settle()
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["targets"] == []


async def test_a_bad_row_is_named_and_nothing_is_half_done(world: World) -> None:
    """Row and reason; a number with a comma, a word for a number, an empty file."""
    rows = _csv(_table()).replace(b"29079", b'"29,079"')
    answer = await send(world.service, TARGETS, rows, CSV, **STATED)
    assert answer.json()["field"] == "rows.2.persons"
    assert answer.json()["rule"] == "NOT_A_NUMBER"
    empty = await send(world.service, TARGETS, "区划代码,人数\n".encode(), CSV, **STATED)
    assert empty.json()["rule"] == "FILE_EMPTY"
    await world.service.settle()
    assert (await world.get(f"/campaigns/{CAMPAIGN}"))["targets"] == []


async def test_without_a_campaign_a_table_is_refused() -> None:
    """A campaign without a pack refuses: nothing can be assigned to what is not open."""
    async with memory_service(SERVICE, today=OPENED) as service:
        answer = await send(service, TARGETS, _csv(_table()), CSV, **STATED)
        assert answer.json()["code"] == "NO_CAMPAIGN"
        world = World(service)
        await world.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
        opened = await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 409)
        assert opened["rule"] == "PACK_NOT_PUBLISHED"


async def test_history_comes_as_a_list_or_as_a_file(world: World) -> None:
    """D-12: a village at once, or a file row by row; bad rows are named and the others are kept."""
    lines = [{"person_id": "p1", "insurance": "medical", "paid_fen": 22_000}]
    body = {"year": 2019, "village": VILLAGE, "source": "金三", "lines": lines}
    await world.post("/history", body, 201)
    rows = "\n".join(
        [
            "人员编号,年度,险种,村居代码,缴费金额（分）",
            f"p2,2019,medical,{VILLAGE},22000",
            f"p2,2019,pension,{VILLAGE},30000",
            f"p2,2019,pension,{VILLAGE},31000",
            f"p3,2019,dental,{VILLAGE},1",
        ]
    ).encode()
    answer = await send(world.service, "/history:import", rows, CSV, source="金三")
    assert answer.status_code == 202
    await world.service.settle()
    async with world.service.client(SCOPES, organisation="tax") as client:
        status = (await client.get(f"/imports/{answer.json()['import_id']}")).json()
    assert (status["accepted"], status["refused"]) == (2, 2)
    found = (await world.get("/history", village=VILLAGE, year=2019))["items"]
    assert [(row["person_id"], row["insurance"], row["fen"], row["origin"]) for row in found] == [
        ("p1", "medical", 22_000, "FILE"),
        ("p2", "medical", 22_000, "FILE"),
        ("p2", "pension", 30_000, "FILE"),
    ]
    proposed = await world.get(f"/campaigns/{CAMPAIGN}/targets:proposed")
    assert proposed["stated_total_persons"] == {"medical": 2, "pension": 1}
    assert proposed["rows"][0] == {"division": VILLAGE, "insurance": "medical", "persons": 2}


async def test_a_pack_file_is_checked_before_it_is_held(world: World) -> None:
    """I-01: the same faults as ``liangxian packs check``; nothing is kept."""
    text = dump(load_pack("SC-2025"))
    sound = await send(world.service, "/packs:check", text.encode(), "application/yaml")
    assert (sound.json()["pack_id"], sound.json()["faults"]) == ("SC-2025", [])
    wrong = text.replace("value: 1070", "value: 1071")
    faults = (await send(world.service, "/packs:check", wrong.encode(), "application/yaml")).json()["faults"]
    assert [(fault["code"], fault["path"]) for fault in faults] == [("I-01", "medical.total")]
    none = await send(world.service, "/packs:check", b"id: [", "application/yaml")
    assert none.json()["faults"][0]["rule"] == "PACK_INVALID"
    held = await world.get("/packs")
    assert {row["pack_id"] for row in held["items"]} >= {"DZ-2018", "SC-2025"}
    assert held["faults"] == {}
