"""Files as towns send them (issue: bad input): each fault is found at its row, and only there."""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
import xlsxwriter

from shared.kernel.errors import ProblemError, Refusal
from shared.testing.http import MARKED_NUMBER
from shared.web import spreadsheets, uploads
from shared.web.import_rows import parse_row
from shared.web.reasons import REASONS, reason_of
from shared.web.spool import KEY_BYTES, NONCE_BYTES, Spool, TooLargeError, whole
from shared.web.uploads import RawRow, UploadFormat, read_rows

COLUMNS = {"姓名": "name", "公民身份号码": "number", "金额": "amount_fen", "name": "name"}


class Line(msgspec.Struct, frozen=True):
    amount_fen: int


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    amount_fen: int = 0
    on: dt.date | None = None
    lines: list[Line] = []


def csv_rows(text: str, encoding: str = "utf-8") -> list[RawRow]:
    return list(read_rows(text.encode(encoding), UploadFormat.CSV, COLUMNS))


def json_rows(body: bytes) -> list[RawRow]:
    return list(read_rows(body, UploadFormat.NDJSON, {}))


def workbook(fill: Callable[[Any, Any], None]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        fill(book, book.add_worksheet())
    return file.getvalue()


def sheet_rows(fill: Callable[[Any, Any], None]) -> list[RawRow]:
    return list(read_rows(workbook(fill), UploadFormat.XLSX, COLUMNS))


def faults(rows: list[RawRow]) -> dict[int, tuple[str, str]]:
    return {row.number: (row.fault, row.field) for row in rows if row.fault}


# -- encodings and lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_encoding_towns_send_is_read(encoding: str, end: str) -> None:
    """BOM or none, GBK, and what a spreadsheet calls Unicode text; both ends of line, the last one missing."""
    rows = csv_rows(f"姓名,金额{end}王五,36000{end}李四,100", encoding)
    assert [row.data for row in rows] == [
        {"name": "王五", "amount_fen": "36000"},
        {"name": "李四", "amount_fen": "100"},
    ]


def test_a_character_may_lie_over_two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end anywhere: inside a character, a line, a mark of the beginning."""
    monkeypatch.setattr("shared.web.spool.BLOCK_BYTES", 5)
    for encoding in ("utf-8-sig", "gbk", "utf-16"):
        assert [row.data for row in csv_rows("姓名,金额\r\n王五,1\r\n", encoding)] == [
            {"name": "王五", "amount_fen": "1"}
        ]
    assert [row.data for row in json_rows('\ufeff{"a": "王"}\n\n{"a": 2}'.encode())] == [
        {"a": "王"},
        {"a": 2},
    ]


def test_an_open_quotation_mark_costs_its_own_row_only() -> None:
    """It would swallow the rest of the file: rows 1 and 3 are read."""
    rows = csv_rows('姓名,金额\n"王,五",1\n"李四,2\n赵六,3\n')
    assert faults(rows) == {2: ("CSV_MALFORMED", "")}
    assert (rows[0].data["name"], rows[2].data["name"]) == ("王,五", "赵六")


def test_a_row_without_end_is_a_fault_and_not_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without line ends is one row, and that one is too long."""
    monkeypatch.setattr("shared.web.uploads.LONGEST_ROW", 100_000)
    assert faults(json_rows(b'{"a": 1}\n' + b"x" * 300_000 + b'\n{"a": 2}')) == {2: ("ROW_TOO_LONG", "")}
    assert faults(json_rows(b'{"a": 1}\n' + b"x" * 300_000)) == {2: ("ROW_TOO_LONG", "")}
    assert faults(csv_rows("姓名\n" + "王" * 300_000 + "\n李四\n")) == {1: ("ROW_TOO_LONG", "")}


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[1]", b"3", b'{"a":', b'{"a": "\xff"}', b'{"a": NaN}', b"\x00\x00"]
)
def test_a_line_that_is_no_object_is_its_own_fault(line: bytes) -> None:
    rows = json_rows(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert faults(rows) == {2: ("NOT_A_JSON_OBJECT", "")}
    assert [row.data for row in rows if not row.fault] == [{"a": 1}, {"a": 2}]


# -- cells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["=1+1", "＝1+1", " =A1", "+SUM(A1)", "-cmd", "@A1", '"=HYPERLINK(""x"",""y"")"']
)
def test_a_formula_is_refused_not_reckoned(cell: str) -> None:
    """What a formula last showed says nothing of what it is; and a stored one would run in somebody's spreadsheet."""
    assert faults(csv_rows(f"姓名,金额\n{cell},1\n王五,2\n")) == {1: ("FORMULA_NOT_ALLOWED", "name")}


@pytest.mark.parametrize("cell", ["3.70406E+17", "3.70406e17", "1E+05", "-2.5E+3"])
def test_a_number_that_lost_its_digits_is_found(cell: str) -> None:
    assert faults(csv_rows(f"姓名,公民身份号码\n王五,{cell}\n")) == {1: ("ID_STORED_AS_NUMBER", "number")}


def test_too_many_cells_are_a_fault_too_few_are_not() -> None:
    rows = csv_rows("姓名,金额\n王五\n李四,1,2\n,\n赵六,3\n")
    assert faults(rows) == {2: ("TOO_MANY_CELLS", "")}
    assert [row.number for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "rule"),
    [("", "HEADING_MISSING"), ("甲,乙\n1,2\n", "HEADING_MISSING"), ("姓名,name\n1,2\n", "HEADING_REPEATED"),
     ('"姓名,金额\n1,2\n', "CSV_MALFORMED")],
)  # fmt: skip
def test_wrong_headings_refuse_the_file_in_words(text: str, rule: str) -> None:
    """Chinese and English, at once: no row is taken."""
    with pytest.raises(ProblemError) as refused:
        csv_rows(text)
    refusal = refused.value.refusal
    assert (refusal.code, refusal.rule, refusal.message) == ("BODY_MALFORMED", rule, reason_of("", rule))


# -- spreadsheets ---------------------------------------------------------------------------------------------


def test_merged_cells_are_refused_row_by_row() -> None:
    """Only the first of merged cells holds the value: whoever merged the household's rows lost the others."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["姓名", "金额", "备注"])
        sheet.merge_range(1, 0, 2, 0, "王五")
        sheet.write(1, 1, 1)
        sheet.write(2, 1, 2)
        sheet.write_row(3, 0, ["李四", 3])
        sheet.merge_range(4, 2, 5, 2, "nobody asked for this column")
        sheet.write_row(4, 0, ["赵六", 4])
        sheet.write_row(5, 0, ["钱七", 5])

    rows = sheet_rows(fill)
    assert faults(rows) == {1: ("MERGED_CELLS", "name"), 2: ("MERGED_CELLS", "name")}
    assert [row.data for row in rows if not row.fault] == [
        {"name": "李四", "amount_fen": "3"},
        {"name": "赵六", "amount_fen": "4"},
        {"name": "钱七", "amount_fen": "5"},
    ]


def test_formulas_numbers_and_dates_of_a_sheet() -> None:
    """A float that is a whole number is that number; one of 1e15 or more is no identity; a formula is refused
    whatever it last showed. The sheet may begin below and beside A1."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(2, 1, ["姓名", "公民身份号码", "金额"])
        sheet.write_row(3, 1, ["王五", "370406199001019997", 36000.0])
        sheet.write_row(4, 1, ["李四", 370406199001019997, 1])
        sheet.write_row(5, 1, ["赵六", "", 0.3])
        sheet.write(6, 1, "钱七")
        sheet.write_formula(6, 3, "=SUM(D4:D6)", None, 36001)
        sheet.write(8, 1, dt.date(2020, 1, 2), book.add_format({"num_format": "yyyy-mm-dd"}))

    rows = sheet_rows(fill)
    assert faults(rows) == {2: ("ID_STORED_AS_NUMBER", "number"), 4: ("FORMULA_NOT_ALLOWED", "amount_fen")}
    assert rows[0].data == {"name": "王五", "number": "370406199001019997", "amount_fen": "36000"}
    assert rows[2].data["amount_fen"] == "0.3"
    assert parse_row(rows[2], Sent) == Refusal("ROW_INVALID", rule="NOT_A_NUMBER", field="amount_fen")
    assert rows[4].data == {"name": "2020-01-02"}


def test_a_sheet_too_large_is_sent_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before it is unpacked."""
    body = workbook(lambda _, sheet: sheet.write_column(0, 0, ["姓名", *("王五" for _ in range(300))]))
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 300)
    with pytest.raises(ProblemError) as refused:
        list(read_rows(body, UploadFormat.XLSX, COLUMNS))
    assert (refused.value.refusal.code, refused.value.refusal.rule) == ("BODY_TOO_LARGE", "XLSX_TOO_LARGE")
    monkeypatch.setattr(spreadsheets, "MOST_BYTES", 1000)
    with pytest.raises(ProblemError):
        list(read_rows(body, UploadFormat.XLSX, COLUMNS))


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04", b"no zip at all", b"\xd0\xcf\x11\xe0" + b"\x00" * 600])
def test_what_is_no_sheet_is_refused_whole(body: bytes) -> None:
    """Also the old binary format, which is what an encrypted XLSX looks like."""
    with pytest.raises(ProblemError) as refused:
        list(read_rows(body, UploadFormat.XLSX, COLUMNS))
    assert refused.value.refusal.rule == "XLSX_MALFORMED"


# -- rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "rule", "field"),
    [
        ({}, "FIELD_MISSING", "name"),
        ({"name": "王", "lines": [{}]}, "FIELD_MISSING", "lines.0.amount_fen"),
        ({"name": "王", "amount_fen": "12,300"}, "NOT_A_NUMBER", "amount_fen"),
        ({"name": "王", "amount_fen": "１２"}, "NOT_A_NUMBER", "amount_fen"),
        ({"name": "王", "amount_fen": "260元"}, "NOT_A_NUMBER", "amount_fen"),
        ({"name": "王", "amount_fen": 0.5}, "NOT_A_NUMBER", "amount_fen"),
        ({"name": "王", "amount_fen": 10**30}, "NUMBER_TOO_LARGE", "amount_fen"),
        ({"name": "王", "lines": [{"amount_fen": 1}, {"amount_fen": -(10**17)}]}, "NUMBER_TOO_LARGE",
         "lines.1.amount_fen"),
        ({"name": "王" * 501}, "TEXT_TOO_LONG", "name"),
        ({"name": "王\x00五"}, "CONTROL_CHARACTER", "name"),
        ({"name": "王\n五"}, "CONTROL_CHARACTER", "name"),
        ({"name": "王", "on": "2020-02-30"}, "NOT_A_DATE", "on"),
        ({"name": "王", "on": "2020年1月2日"}, "NOT_A_DATE", "on"),
        ({"name": "王", "on": "0001-01-01"}, "DATE_OUT_OF_RANGE", "on"),
        ({"name": "王", "on": "1899-12-31"}, "DATE_OUT_OF_RANGE", "on"),
        ({"name": "王", "on": "9999-12-31"}, "DATE_OUT_OF_RANGE", "on"),
        ({"name": 370406199001019997}, "NOT_A_TEXT", "name"),
        ({"name": "王", MARKED_NUMBER: 1}, "FIELD_UNKNOWN", ""),
        ({"name": "王", "lines": {}}, "VALIDATION_FAILED", "lines"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", [False, True])
def test_what_is_wrong_with_a_row_is_told_by_rule_and_field(
    data: dict[str, Any], rule: str, field: str, text: bool
) -> None:
    """And never by value: the file's content stays out of answers and logs."""
    if text and data.get("name") == 370406199001019997:
        data = {"name": "王", "on": "x"}
        rule, field = "NOT_A_DATE", "on"
    refusal = parse_row(RawRow(1, data, text=text), Sent)
    assert refusal == Refusal("ROW_INVALID", rule=rule, field=field)
    assert reason_of("ROW_INVALID", rule)
    assert MARKED_NUMBER not in str(refusal)


def test_every_fault_of_a_reader_has_words() -> None:
    """Chinese first, English second."""
    for rule, (chinese, english) in REASONS.items():
        assert rule.isupper()
        assert any("\u4e00" <= each <= "\u9fff" for each in chinese)
        assert english.isascii()


# -- the spool ------------------------------------------------------------------------------------------------


async def arriving(blocks: list[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


def spool() -> Spool:
    return Spool(bytes(range(KEY_BYTES + NONCE_BYTES)))


async def test_a_spool_gives_back_what_came_as_often_as_asked() -> None:
    """And keeps nothing of it in clear."""
    blocks = [MARKED_NUMBER.encode(), b"x" * (3 << 20), b"end"]
    with spool() as kept:
        await kept.fill(arriving(blocks), 1 << 30)
        assert whole(kept) == whole(kept) == b"".join(blocks)
        kept._file.seek(0)
        assert MARKED_NUMBER.encode() not in kept._file.read()
        assert kept.size == sum(map(len, blocks))


async def test_a_spool_takes_no_more_than_its_limit() -> None:
    with spool() as kept, pytest.raises(TooLargeError):
        await kept.fill(arriving([b"12345", b"6"]), 5)


async def test_of_a_long_file_only_the_row_at_hand_is_in_memory() -> None:
    """200,000 rows, 20 MB, one of them bad: it is named, and the memory stays under 4 MiB."""

    async def long_file() -> AsyncIterator[bytes]:
        for start in range(0, 200_000, 1000):
            rows = (
                f'{{"name": "synthetic {n:09d}", "amount_fen": 36000, "lines": []}}'
                for n in range(start, start + 1000)
            )
            yield (
                "\n".join("nonsense" if n == 123_455 else row for n, row in enumerate(rows, start)).encode()
                + b"\n"
            )

    def judged(kept: Spool) -> Iterator[int]:
        for raw in read_rows(kept, UploadFormat.NDJSON, {}):
            if isinstance(parse_row(raw, Sent), Refusal):
                yield raw.number

    with spool() as kept:
        await kept.fill(long_file(), 1 << 30)
        tracemalloc.start()
        try:
            assert list(judged(kept)) == [123_456]
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()


def test_the_longest_row_is_more_than_any_row_needs() -> None:
    """A row of 500 lines of a payment order is 50 kB."""
    assert uploads.LONGEST_ROW >= 20 * 500 * 100
