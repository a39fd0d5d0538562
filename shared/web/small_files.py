"""A short table sent as a file and taken whole or not at all (整表上传): answered at once, no job.

For tables whose rows only mean something together, such as a task table with its stated totals. People, payments
and other long files go through imports, row by row.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec
from starlette.requests import Request

from shared.kernel.errors import ProblemError, Refusal
from shared.web.import_rows import parse_row
from shared.web.reasons import reason_of
from shared.web.requests import read_body
from shared.web.uploads import ROW_INVALID, format_of, read_rows

R = TypeVar("R", bound=msgspec.Struct)

LIMIT_BYTES = 4 << 20
MAX_TABLE_ROWS = 5000


async def table_of(request: Request, row_type: type[R], columns: dict[str, str]) -> tuple[list[R], str]:
    """All rows of an NDJSON, CSV or XLSX body, and the body's digest (SHA-256 hex).

    Raises ProblemError: ROW_INVALID names the first bad row as ``rows.3.persons`` (heading not counted) and says
    why; a body that is no such file, too long or empty is refused whole.
    """
    upload_format = format_of(request.headers.get("content-type", ""))
    body = await read_body(request, LIMIT_BYTES)
    headings = {name: name for name in row_type.__struct_fields__} | columns
    found: list[R] = []
    for raw in read_rows(body, upload_format, headings):
        if len(found) == MAX_TABLE_ROWS:
            raise ProblemError(Refusal("BODY_TOO_LARGE", rule="TOO_MANY_ROWS"))
        row = parse_row(raw, row_type)
        if isinstance(row, Refusal):
            field = f"rows.{raw.number}.{row.field}".rstrip(".")
            raise ProblemError(Refusal(ROW_INVALID, row.rule, "", field, reason_of(row.code, row.rule)), 422)
        found.append(row)
    if not found:
        raise ProblemError(Refusal("VALIDATION_FAILED", rule="FILE_EMPTY", field="rows"), 422)
    return found, hashlib.sha256(body).hexdigest()
