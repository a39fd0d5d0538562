"""Uploaded files as rows (上传文件): NDJSON, CSV (UTF-8 with or without BOM, UTF-16, GB 18030) and XLSX.

A row that cannot be read is a row with a fault, never a reason to refuse its neighbours. Cells that lost
digits on the way (an identity number kept as a number) are found, not guessed at. NDJSON and CSV are read from
front to back: of a file of a million rows only the row at hand is in memory.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from shared.kernel.errors import ProblemError, Refusal
from shared.web.reasons import file_fault
from shared.web.spool import Content, Held, whole

MAX_ROWS = 1_000_000
ROW_INVALID = "ROW_INVALID"
LONGEST_ROW = 1 << 20
"""Bytes (characters in a CSV file) of a row; a longer one is a fault of its own."""

_SCIENTIFIC = re.compile(r"[+-]?\d(\.\d+)?[Ee]\+?\d{1,3}\Z", re.ASCII)
_LOSSY_NUMBER = 1e15
_UTF8_BOM = codecs.BOM_UTF8


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


class StagedRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ``RawRow`` as it is read again from where it was staged: its cells are the JSON they were kept as."""

    number: int
    data: msgspec.Raw = msgspec.Raw(b"{}")
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


def read_rows(body: bytes | Content, kind: UploadFormat, columns: Mapping[str, str]) -> Iterator[RawRow]:
    """Rows of a file. ``columns``: heading (Chinese or English) to field, for CSV and XLSX.

    Raises ProblemError BODY_MALFORMED when the file as a whole is no such file: here for what its beginning
    tells, and when the first row is asked for, never between two rows.
    """
    content = Held(body) if isinstance(body, bytes) else body
    if kind is UploadFormat.NDJSON:
        return _ndjson(content)
    if kind is UploadFormat.CSV:
        return _csv(content, columns)
    from shared.web.spreadsheets import lines_of

    return _rows_of_cells(*_headed(lines_of(whole(content)), columns))


# -- NDJSON ---------------------------------------------------------------------------------------------------


def _ndjson(content: Content) -> Iterator[RawRow]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    number = 0
    for line in _byte_lines(content):
        if line is not None and not line.strip():
            continue
        number += 1
        if line is None:
            yield RawRow(number, fault="ROW_TOO_LONG")
            continue
        try:
            yield RawRow(number, decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            yield RawRow(number, fault="NOT_A_JSON_OBJECT")


def _byte_lines(content: Content) -> Iterator[bytes | None]:
    """Lines without their end; None for one that is too long."""
    rest, skipping, first = b"", False, True
    for block in content.blocks():
        if first:
            block, first = block.removeprefix(_UTF8_BOM), False
        *lines, tail = (rest + block).split(b"\n")
        for line in lines:
            yield None if skipping or len(line) > LONGEST_ROW else line
            skipping = False
        skipping = skipping or len(tail) > LONGEST_ROW
        rest = b"" if skipping else tail
    if skipping:
        yield None
    elif rest:
        yield rest


# -- CSV ------------------------------------------------------------------------------------------------------


def encoding_of(content: Content) -> str:
    """Encoding of a CSV file: UTF-16 by its mark, UTF-8 where all of it is valid UTF-8, else GB 18030 (GBK's
    superset). Raises ProblemError BODY_MALFORMED for none of them."""
    first = next(content.blocks(), b"")
    wide = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for block in content.blocks():
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise file_fault("BODY_MALFORMED", "ENCODING_UNKNOWN")


def _text_lines(content: Content, encoding: str) -> Iterator[str | None]:
    """Lines without their end; None for one that is too long."""
    decoder = codecs.getincrementaldecoder(encoding)()
    rest, skipping = "", False
    for block in content.blocks():
        *lines, tail = (rest + decoder.decode(block)).split("\n")
        for line in lines:
            yield None if skipping or len(line) > LONGEST_ROW else line.removesuffix("\r")
            skipping = False
        skipping = skipping or len(tail) > LONGEST_ROW
        rest = "" if skipping else tail
    if skipping:
        yield None
    elif rest:
        yield rest.removesuffix("\r")


def _csv(content: Content, columns: Mapping[str, str]) -> Iterator[RawRow]:
    lines = map(_cells, _text_lines(content, encoding_of(content)))
    return _rows_of_cells(*_headed(lines, columns))


def _cells(line: str | None) -> list[Any] | str:
    """A line's cells, or the fault of a line that is none. A cell does not go over several lines: an open
    quotation mark would swallow the rest of the file."""
    if line is None:
        return "ROW_TOO_LONG"
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader((line,), strict=True))
    except csv.Error:
        return "CSV_MALFORMED"


# -- cells ----------------------------------------------------------------------------------------------------


def _headed(
    lines: Iterator[list[Any] | str], columns: Mapping[str, str]
) -> tuple[Iterator[list[Any] | str], list[str | None]]:
    heading = next(lines, [])
    if isinstance(heading, str):
        raise file_fault("BODY_MALFORMED", heading)
    return lines, _fields(heading, columns)


def _fields(heading: list[Any], columns: Mapping[str, str]) -> list[str | None]:
    """Field per column; None for columns nobody asked for."""
    known = set(columns.values())
    fields: list[str | None] = []
    for cell in heading:
        title = str(cell).strip()
        fields.append(columns.get(title, title if title in known else None))
    if not any(fields):
        raise file_fault("BODY_MALFORMED", "HEADING_MISSING")
    named = [field for field in fields if field is not None]
    if len(set(named)) != len(named):
        raise file_fault("BODY_MALFORMED", "HEADING_REPEATED")
    return fields


def _rows_of_cells(lines: Iterator[list[Any] | str], fields: list[str | None]) -> Iterator[RawRow]:
    number = 0
    for cells in lines:
        if isinstance(cells, str):
            number += 1
            yield RawRow(number, fault=cells)
        elif any(not isinstance(cell, str) or cell.strip() for cell in cells):
            number += 1
            yield _row(number, cells, fields)


def _row(number: int, cells: list[Any], fields: list[str | None]) -> RawRow:
    if len(cells) > len(fields):
        return RawRow(number, fault="TOO_MANY_CELLS")
    data: dict[str, Any] = {}
    for field, cell in zip(fields, cells, strict=False):
        if field is None:
            continue
        fault = _fault(cell)
        if fault:
            return RawRow(number, fault=fault, field=field)
        text = _cell_text(cell)
        if text:
            data[field] = text
    return RawRow(number, data, text=True)


class BadCell(msgspec.Struct, frozen=True):
    """A cell whose reader says what is wrong with it."""

    fault: str


def _fault(cell: Any) -> str:
    """What is wrong with a cell; empty when nothing is."""
    if isinstance(cell, BadCell):
        return cell.fault
    if isinstance(cell, str):
        text = cell.lstrip()
        if text[:1] in ("=", "＝") or (text[:1] in ("+", "-", "@") and text[1:2].isalpha()):
            return "FORMULA_NOT_ALLOWED"
        return "ID_STORED_AS_NUMBER" if _SCIENTIFIC.match(text.rstrip()) else ""
    if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= _LOSSY_NUMBER:
        return "ID_STORED_AS_NUMBER"
    return ""


def _cell_text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
