"""A town's file of people with everything that goes wrong in files (bad input): row and reason, neighbours kept."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
import xlsxwriter

from shared.testing.http import MARKED_NAME, MARKED_NUMBER, MARKED_PHONE, assert_no_personal_data
from shared.web.uploads import UploadFormat
from tests.unit.registration.scenery import SCOPES, VILLAGE, Desk, memory, number_of

HEADING = ["姓名", "公民身份号码", "出生日期", "村居代码", "户籍地代码", "电话", "备注"]
BIRTH = dt.date(1980, 5, 1)


def row(serial: int, **changes: str) -> list[str]:
    cells = {"姓名": MARKED_NAME, "公民身份号码": number_of(BIRTH, serial), "村居代码": VILLAGE,
             "户籍地代码": VILLAGE, "电话": MARKED_PHONE}  # fmt: skip
    return [{**cells, **changes}.get(title, "") for title in HEADING]


def text_of(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([HEADING, *rows])
    return out.getvalue()


async def uploaded(
    desk: Desk, body: bytes, media: str, key: str = "file"
) -> tuple[dict[str, Any], list[list[str]]]:
    """Status of the finished import, and its failures: number, code, rule, field, reason."""
    answer = await desk.client.post(
        "/people:import", content=body, headers={"Content-Type": media, "Idempotency-Key": key}
    )
    assert answer.status_code == 202, answer.text
    status = await desk.get(answer.headers["Location"])
    failures = (await desk.client.get(status["failures"])).text
    return status, list(csv.reader(io.StringIO(failures)))[1:]


BAD: list[tuple[dict[str, str], tuple[str, str, str]]] = [
    ({"公民身份号码": MARKED_NUMBER[:-1] + "8"}, ("ID_CHECK_CHARACTER", "I-03", "number")),
    ({"公民身份号码": "37040619900101"}, ("ID_LENGTH", "I-03", "number")),
    ({"公民身份号码": "3.70406E+17"}, ("ROW_INVALID", "ID_STORED_AS_NUMBER", "number")),
    ({"公民身份号码": "'" + MARKED_NUMBER}, ("ID_LENGTH", "I-03", "number")),
    ({"出生日期": "1980年5月1日"}, ("ROW_INVALID", "NOT_A_DATE", "birth")),
    ({"出生日期": "1981-05-01"}, ("ID_BIRTH_MISMATCH", "I-03", "birth")),
    ({"村居代码": "370406"}, ("VALIDATION_FAILED", "VILLAGE_CODE", "division")),
    ({"村居代码": "三山村"}, ("DIVISION_FORBIDDEN", "", "division")),
    ({"村居代码": ""}, ("ROW_INVALID", "FIELD_MISSING", "division")),
    ({"村居代码": "110101001001"}, ("DIVISION_FORBIDDEN", "", "division")),
    ({"姓名": "=1+1"}, ("ROW_INVALID", "FORMULA_NOT_ALLOWED", "name")),
]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk"])
async def test_every_bad_row_is_told_and_its_neighbours_are_registered(
    encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong check characters, lost digits, dates in words, villages nobody knows or may touch, formulas, and the
    same person twice: each by row, field and reason in Chinese and English; nothing personal in answer or log."""
    rows = [row(2), *(row(101 + 2 * n, **changes) for n, (changes, _) in enumerate(BAD)), row(2), row(4)]
    async with memory() as service, service.client(SCOPES, organisation="hr", divisions=["370406"]) as client:
        status, failures = await uploaded(Desk(service, client), text_of(rows).encode(encoding), "text/csv")
        expected = [fault for _, fault in BAD] + [("IDENTITY_TAKEN",)]
        assert [(int(each[0]), each[1]) for each in failures] == [
            (number, fault[0]) for number, fault in enumerate(expected, 2)
        ]
        for found, fault in zip(failures, BAD, strict=False):
            assert tuple(found[1:4]) == fault[1]
        assert all(" / " in each[4] for each in failures)
        assert (status["state"], status["accepted"], status["refused"]) == ("DONE", 2, len(BAD) + 1)
        assert await service.parts.log.head() == 2
    assert_no_personal_data(str(failures), str(status), *capsys.readouterr())


async def test_a_spreadsheet_with_merged_households_is_refused_where_it_is_merged(desk: Desk) -> None:
    """Merged village codes leave the rows below without one; a number kept as a quantity has lost its end."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADING)
        for number, serial in enumerate((2, 4, 6, 8), 1):
            sheet.write_row(number, 0, row(serial))
        sheet.merge_range(2, 3, 3, 3, VILLAGE)
        sheet.write_number(4, 1, float(MARKED_NUMBER))
    status, failures = await uploaded(desk, file.getvalue(), UploadFormat.XLSX.value)
    assert [each[:4] for each in failures] == [
        ["2", "ROW_INVALID", "MERGED_CELLS", "division"],
        ["3", "ROW_INVALID", "MERGED_CELLS", "division"],
        ["4", "ROW_INVALID", "ID_STORED_AS_NUMBER", "number"],
    ]
    assert status["accepted"] == 1


async def test_a_file_with_wrong_headings_registers_nobody(desk: Desk) -> None:
    """The whole file is refused, in words; nothing half-done."""
    answer = await desk.client.post(
        "/people:import",
        content="名字,号码\n王,1\n".encode("gbk"),
        headers={"Content-Type": "text/csv", "Idempotency-Key": "k"},
    )
    told = answer.json()
    assert (answer.status_code, told["code"], told["rule"]) == (400, "BODY_MALFORMED", "HEADING_MISSING")
    assert "列名" in told["detail"]
    assert await desk.service.parts.log.head() == 0


async def test_a_corrected_file_adds_only_what_was_missing(desk: Desk) -> None:
    """The clerk corrects row 2 and sends the file again under another key: row 1 is taken already, row 2 is new."""
    first = text_of([row(2), row(4, 出生日期="x")])
    status, _ = await uploaded(desk, first.encode(), "text/csv", "monday")
    assert (status["accepted"], status["refused"]) == (1, 1)
    status, failures = await uploaded(desk, text_of([row(2), row(4)]).encode(), "text/csv", "tuesday")
    assert (status["accepted"], [each[:2] for each in failures]) == (1, [["1", "IDENTITY_TAKEN"]])
    assert await desk.service.parts.log.head() == 2
