"""A channel's day file as it is uploaded (渠道日终大文件): NDJSON, a line each, totals in the last row. Pure."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from services.collection.obligations.filing import FiledOrderLine
from shared.kernel.bounds import When, check_days
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import ProblemError, Refusal
from shared.kernel.insurance import Insurance
from shared.web.requests import fault_field

MAX_LINES = 200_000
"""Lines of a channel's day file."""
_BOM = b"\xef\xbb\xbf"

_Number = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+$", min_length=1, max_length=64)]
_Person = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]+$", min_length=1, max_length=64)]
_Fen = Annotated[int, msgspec.Meta(gt=0, le=10**12)]


class DayFileLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """渠道一笔缴费 / a line of the channel's day."""

    order_no: _Number
    person_id: _Person
    insurance: Insurance
    year: Annotated[int, msgspec.Meta(ge=2000, le=2100)]
    amount_fen: _Fen
    paid_at: When

    def __post_init__(self) -> None:
        check_days(paid_at=self.paid_at)


class DayFileTotals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """末行合计 / the last row."""

    total_count: Annotated[int, msgspec.Meta(ge=0)]
    total_fen: Annotated[int, msgspec.Meta(ge=0)]


_Row = TypeVar("_Row")

_lines = msgspec.json.Decoder(DayFileLine)
_totals = msgspec.json.Decoder(DayFileTotals)


def read_day_file(body: bytes) -> tuple[list[FiledOrderLine], DayFileTotals]:
    """Lines and totals. Raises ProblemError for the first row that is none: its number and field, no value.

    Nothing of a file with a faulty row is taken: a channel's day is right as a whole or sent again.
    """
    rows = [row for row in body.removeprefix(_BOM).split(b"\n") if row.strip()]
    if len(rows) > MAX_LINES + 1:
        raise ProblemError(Refusal("BODY_TOO_LARGE", rule="TOO_MANY_ROWS"))
    if not rows:
        raise ProblemError(Refusal("BODY_MALFORMED", rule="TOTALS_MISSING"))
    lines = [_decoded(_lines, row, number) for number, row in enumerate(rows[:-1], 1)]
    return [_filed(line) for line in lines], _decoded(_totals, rows[-1], len(rows))


def _decoded(decoder: msgspec.json.Decoder[_Row], row: bytes, number: int) -> _Row:
    try:
        return decoder.decode(row)
    except msgspec.ValidationError as fault:
        raise ProblemError(
            Refusal(
                "VALIDATION_FAILED", rule="ROW_INVALID", field=f"{number}.{fault_field(fault)}".rstrip(".")
            )
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProblemError(Refusal("BODY_MALFORMED", rule="ROW_INVALID", field=str(number))) from None


def _filed(line: DayFileLine) -> FiledOrderLine:
    return FiledOrderLine(
        line.order_no,
        line.person_id,
        line.insurance,
        line.year,
        line.amount_fen,
        line.paid_at.astimezone(SHANGHAI),
    )
