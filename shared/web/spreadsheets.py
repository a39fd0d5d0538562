"""XLSX files as lines of cells (电子表格): values, and what a value hides.

A formula's last value says nothing of what it will be, and of merged cells only the first holds the value; both
are found in the sheet's own XML and refused, cell by cell. The first sheet is read; a spreadsheet holds a town's
people, a larger file is sent as CSV or NDJSON.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import dropwhile
from typing import Any
from xml.etree import ElementTree as ET

from shared.kernel.errors import ProblemError
from shared.web.reasons import file_fault
from shared.web.uploads import BadCell

MOST_BYTES = 256 << 20
"""Of the unpacked file: what unpacks to more is no list of people."""

MOST_ROWS, MOST_COLUMNS = 200_000, 64
_BLOCK = 1 << 20
_OVERLAP = 512
_FORMULA = re.compile(rb'<(?:\w+:)?c [^<>]*?\br="([A-Z]{1,3})(\d{1,7})"[^<>]*><(?:\w+:)?f[ >/]')
_ANY = re.compile(rb"<(?:\w+:)?f[ >/]")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_BOOK = "xl/workbook.xml"

Place = tuple[int, int]


def lines_of(body: bytes) -> Iterator[list[Any]]:
    """Lines of the first sheet, from its first row that is not blank; numbers, dates and truth as Python has them.

    Raises ProblemError BODY_MALFORMED (no spreadsheet, or one that is encrypted) and BODY_TOO_LARGE.
    """
    formulas = _formulas(body)
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0)
        if sheet.height > MOST_ROWS:
            raise file_fault("BODY_TOO_LARGE", "XLSX_TOO_LARGE")
        merged = sheet.merged_cell_ranges or []
    except (CalamineError, ValueError, OSError):
        raise _malformed() from None
    _, first_column = sheet.start or (0, 0)
    bad = dict.fromkeys(formulas, BadCell("FORMULA_NOT_ALLOWED"))
    bad |= dict.fromkeys(_covered(merged), BadCell("MERGED_CELLS"))
    return dropwhile(_is_blank, _marked(sheet.iter_rows(), bad, first_column))


def _is_blank(cells: list[Any]) -> bool:
    return not any(str(cell).strip() for cell in cells)


def _covered(merged: Iterable[tuple[Place, Place]]) -> Iterator[Place]:
    """Every cell of merged ranges."""
    for (top, left), (bottom, right) in merged:
        for row in range(top, min(bottom, top + MOST_ROWS) + 1):
            for column in range(left, min(right, left + MOST_COLUMNS) + 1):
                yield row, column


def _marked(
    rows: Iterable[list[Any]], bad: Mapping[Place, BadCell], first_column: int
) -> Iterator[list[Any]]:
    """Rows, from the sheet's first on, with what is wrong in its place."""
    where = {row for row, _ in bad}
    for row, cells in enumerate(rows):
        if row in where:
            yield [bad.get((row, column), cell) for column, cell in enumerate(cells, first_column)]
        else:
            yield cells


def _formulas(body: bytes) -> set[Place]:
    """(row, column), from 0, of the first sheet's formulas."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            if sum(each.file_size for each in archive.infolist()) > MOST_BYTES:
                raise file_fault("BODY_TOO_LARGE", "XLSX_TOO_LARGE")
            with archive.open(_first_sheet(archive)) as sheet:
                return set(_places(sheet))
    except (
        zipfile.BadZipFile,
        KeyError,
        ET.ParseError,
        StopIteration,
        NotImplementedError,
        RuntimeError,
    ):
        raise _malformed() from None


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """Path of the first sheet. Raises KeyError or StopIteration where the archive is no workbook."""
    book = ET.fromstring(archive.read(_BOOK))
    named = next(each for each in book.iter() if each.tag.endswith("}sheet")).attrib[_RELATION]
    relations = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next(each.attrib["Target"] for each in relations if each.attrib["Id"] == named)
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")


def _places(sheet: Any) -> Iterator[Place]:
    """Formulas in the sheet's XML, block by block; a match over a block's end is found in the next."""
    window = b""
    while block := sheet.read(_BLOCK):
        window += block
        if _ANY.search(window):
            for found in _FORMULA.finditer(window):
                yield int(found[2]) - 1, _column(found[1])
        window = window[-_OVERLAP:]


def _column(letters: bytes) -> int:
    """``A`` -> 0, ``AA`` -> 26."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _malformed() -> ProblemError:
    return file_fault("BODY_MALFORMED", "XLSX_MALFORMED")
