"""A file of a million people with one bad row: rows read and judged per second, and what memory that takes.

Spooled as it would arrive, read row by row, each row checked against its type. What stays in memory is the row at
hand; the process's peak must not grow with the file. `make bench` prints the table.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import AsyncIterator

import pytest

from services.registration.people.domain import Particulars
from shared.kernel.errors import Refusal
from shared.web.import_rows import parse_row
from shared.web.spool import KEY_BYTES, NONCE_BYTES, Spool
from shared.web.uploads import UploadFormat, read_rows

ROWS = 1_000_000
BAD = 654_321
PAGE = 1000
FLOOR = 40_000
"""Rows per second; trials reached 340,000 (NDJSON) and 150,000 (CSV)."""

GROWTH_MIB = 48
HEADING = "姓名,公民身份号码,出生日期,村居代码,户籍地代码\n"


def line(kind: UploadFormat, number: int) -> str:
    if number == BAD:
        return "nonsense,,,,,,,\n"
    values = ("合成甲", f"3704061990{number:08d}", "1990-01-01", "370406101201", "370406101201")
    if kind is UploadFormat.CSV:
        return ",".join(values) + "\n"
    names = ("name", "number", "birth", "division", "hukou_division")
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in zip(names, values, strict=True)) + "}\n"


async def arriving(kind: UploadFormat) -> AsyncIterator[bytes]:
    if kind is UploadFormat.CSV:
        yield HEADING.encode()
    for start in range(1, ROWS + 1, PAGE):
        yield "".join(line(kind, number) for number in range(start, start + PAGE)).encode()


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@pytest.mark.parametrize("kind", [UploadFormat.NDJSON, UploadFormat.CSV])
async def test_a_million_rows_are_read_in_bounded_memory(kind: UploadFormat) -> None:
    columns = {"姓名": "name", "公民身份号码": "number", "出生日期": "birth", "村居代码": "division",
               "户籍地代码": "hukou_division"}  # fmt: skip
    with Spool(os.urandom(KEY_BYTES + NONCE_BYTES)) as body:
        await body.fill(arriving(kind), 1 << 30)
        before, began = peak_mib(), time.perf_counter()
        rows = read_rows(body, kind, columns)
        bad = [raw.number for raw in rows if isinstance(parse_row(raw, Particulars), Refusal)]
        seconds, grown = time.perf_counter() - began, peak_mib() - before
        size = body.size >> 20
    print(f"\n{kind.name} {size} MiB: {ROWS / seconds:,.0f} rows/s, peak +{grown:.0f} MiB")
    assert bad == [BAD]
    assert grown < GROWTH_MIB
    assert ROWS / seconds > FLOOR
