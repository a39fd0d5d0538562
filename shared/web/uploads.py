"""Uploaded files as rows (上传文件): NDJSON, CSV (UTF-8 with or without BOM, GB 18030) and XLSX.

A row that cannot be read is a row with a fault, never a reason to refuse its neighbours. Cells that lost
digits on the way (an identity number kept as a number) are found, not guessed at.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from shared.kernel.errors import ProblemError, Refusal

MAX_ROWS = 1_000_000
ROW_INVALID = "ROW_INVALID"

_SCIENTIFIC = re.compile(r"\d(\.\d+)?[Ee]\+?\d{2}\Z", re.ASCII)
_LOSSY_NUMBER = 1e15


class UploadFormat(StrEnum):
    """By media type."""

    NDJSON = "application/x-ndjson"
    CSV = "text/csv"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class RawRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row as uploaded. number: from 1, heading not counted. text: cells are text (CSV, XLSX).

    fault: rule name when the row cannot be read; then ``data`` is empty.
    """

    number: int
    data: dict[str, Any] = {}
    text: bool = False
    fault: str = ""
    field: str = ""


def format_of(content_type: str) -> UploadFormat:
    """The format of a ``Content-Type``. Raises ProblemError MEDIA_TYPE_UNSUPPORTED (415)."""
    media = content_type.partition(";")[0].strip().lower()
    if media in ("application/ndjson", "application/jsonl"):
        return UploadFormat.NDJSON
    try:
        return UploadFormat(media)
    except ValueError:
        raise ProblemError(Refusal("MEDIA_TYPE_UNSUPPORTED", field="Content-Type")) from None


def read_rows(body: bytes, kind: UploadFormat, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """Rows of a file. ``columns``: heading (Chinese or English) to field, for CSV and XLSX.

    Raises ProblemError BODY_MALFORMED when the file as a whole is no such file.
    """
    if kind is UploadFormat.NDJSON:
        return _ndjson(body)
    if kind is UploadFormat.CSV:
        return _csv(body, columns)
    return _xlsx(body, columns)


def _ndjson(body: bytes) -> Iterator[RawRow]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    lines = (line for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip())
    for number, line in enumerate(lines, 1):
        try:
            yield RawRow(number, decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            yield RawRow(number, fault="NOT_A_JSON_OBJECT")


def text_of(body: bytes) -> str:
    """Text of a CSV file: UTF-8 where it is valid UTF-8, else GB 18030 (GBK's superset).

    Raises ProblemError BODY_MALFORMED for neither.
    """
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ProblemError(Refusal("BODY_MALFORMED", rule="ENCODING_UNKNOWN"))


def _csv(body: bytes, columns: Mapping[str, str]) -> Iterator[RawRow]:
    reader = csv.reader(io.StringIO(text_of(body), newline=""), strict=True)
    try:
        heading = next(reader, None)
    except csv.Error:
        raise ProblemError(Refusal("BODY_MALFORMED", rule="CSV_MALFORMED")) from None
    return _rows_of_cells(_csv_cells(reader), _fields(heading or [], columns))


def _csv_cells(reader: Any) -> Iterator[list[Any] | None]:
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None


def _fields(heading: list[Any], columns: Mapping[str, str]) -> list[str | None]:
    """Field per column; None for columns nobody asked for."""
    known = set(columns.values())
    fields: list[str | None] = []
    for cell in heading:
        title = str(cell).strip()
        fields.append(columns.get(title, title if title in known else None))
    if not any(fields):
        raise ProblemError(Refusal("BODY_MALFORMED", rule="HEADING_MISSING"))
    named = [field for field in fields if field is not None]
    if len(set(named)) != len(named):
        raise ProblemError(Refusal("BODY_MALFORMED", rule="HEADING_REPEATED"))
    return fields


def _rows_of_cells(lines: Iterator[list[Any] | None], fields: list[str | None]) -> Iterator[RawRow]:
    number = 0
    for cells in lines:
        if cells is not None and not any(str(cell).strip() for cell in cells):
            continue
        number += 1
        yield RawRow(number, fault="CSV_MALFORMED") if cells is None else _row(number, cells, fields)


def _row(number: int, cells: list[Any], fields: list[str | None]) -> RawRow:
    if len(cells) > len(fields):
        return RawRow(number, fault="TOO_MANY_CELLS")
    data: dict[str, Any] = {}
    for field, cell in zip(fields, cells, strict=False):
        if field is None:
            continue
        if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= _LOSSY_NUMBER:
            return RawRow(number, fault="ID_STORED_AS_NUMBER", field=field)
        text = _cell_text(cell)
        if _SCIENTIFIC.match(text):
            return RawRow(number, fault="ID_STORED_AS_NUMBER", field=field)
        if text.startswith("="):
            return RawRow(number, fault="FORMULA_NOT_ALLOWED", field=field)
        if text:
            data[field] = text
    return RawRow(number, data, text=True)


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell).strip()


def _xlsx(body: bytes, columns: Mapping[str, str]) -> Iterator[RawRow]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0)
        lines = sheet.to_python(skip_empty_area=True)
    except (CalamineError, ValueError, OSError):
        raise ProblemError(Refusal("BODY_MALFORMED", rule="XLSX_MALFORMED")) from None
    if not lines:
        raise ProblemError(Refusal("BODY_MALFORMED", rule="HEADING_MISSING"))
    return _rows_of_cells(iter(lines[1:]), _fields(lines[0], columns))
