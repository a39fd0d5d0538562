"""A row of an upload: what it is made of, its command, its outcome. Pure (批量导入的一行)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from shared.eventstore.commands import Command, IdempotencyKey, Outcome
from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Metadata
from shared.kernel.bounds import out_of_calendar
from shared.kernel.errors import Refusal
from shared.security.principal import Principal
from shared.web.requests import fault_field
from shared.web.uploads import ROW_INVALID, RawRow, StagedRow

R = TypeVar("R", bound=msgspec.Struct)


class ImportContext(msgspec.Struct, frozen=True):
    """What a row's command is made with.

    key: names the row, for ``Command.key``; derived and not kept, as a slice commits once, so it has no digest.
    parameters: what the route put beside the file, e.g. the campaign. divisions: the caller's. metadata: one for
    all rows of a slice. prepared: what ``ImportKind.prepare`` answered for the slice.
    """

    import_id: str
    row_number: int
    organisation: str
    actor: str
    divisions: tuple[str, ...]
    parameters: Mapping[str, str]
    metadata: Metadata
    key: IdempotencyKey
    prepared: Any = None

    def covers(self, division: str) -> bool:
        """True when the caller may act in the division."""
        return Principal(self.organisation, self.actor, frozenset(), self.divisions).covers(division)


@dataclass(frozen=True)
class ImportKind(Generic[R]):
    """A kind of upload, e.g. ``payments``.

    row_type: a msgspec.Struct; columns: CSV and XLSX headings (Chinese, or the field's own name) to fields.
    to_command: pure; a Refusal refuses the row. prepare: reads for a slice of rows at once (people by blind
    index, say) what ``to_command`` then finds in ``context.prepared``; rows of the slice before may not be
    committed yet. answers: the field of the commands' response that names what came of a row, e.g.
    ``person_id``; shown by ``GET /imports/{id}/outcomes``.
    """

    name: str
    row_type: type[R]
    to_command: Callable[[R, ImportContext], Command | Refusal]
    columns: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Sequence[R], Connection], Awaitable[Any]] | None = None
    answers: str = ""

    def headings(self) -> dict[str, str]:
        """Heading to field; every field's own name is a heading too."""
        own = {name: name for name in self.row_type.__struct_fields__}
        return own | dict(self.columns)

    def parser(self) -> RowParser[R]:
        """What makes its rows."""
        return row_parser(self.row_type)


class JobContext(msgspec.Struct, frozen=True):
    """What a route knew of an upload, kept with the job."""

    divisions: tuple[str, ...]
    parameters: dict[str, str]
    campaign: str


LARGEST = 2**53
"""Whole numbers beyond it are exact nowhere else; no count and no amount of fen comes near."""

LONGEST = 500
"""Characters of a text in a row."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse_row(raw: RawRow, row_type: type[R]) -> R | Refusal:
    """A row as its struct, or why it is none; the refusal never quotes a value."""
    told = msgspec.Raw(msgspec.json.encode(raw.data))
    return row_parser(row_type).row(StagedRow(raw.number, told, raw.text, raw.fault, raw.field))


class RowParser(Generic[R]):
    """Makes rows of one type out of what was staged: a file's rows are many."""

    def __init__(self, row_type: type[R]) -> None:
        self._strict = msgspec.json.Decoder(row_type).decode
        self._lax = msgspec.json.Decoder(row_type, strict=False).decode
        self._days = _day_fields(row_type)

    def row(self, staged: StagedRow) -> R | Refusal:
        """See ``parse_row``."""
        if staged.fault:
            return Refusal(ROW_INVALID, rule=staged.fault, field=staged.field)
        try:
            row = self._lax(staged.data) if staged.text else self._strict(staged.data)
        except msgspec.ValidationError as fault:
            rule, field = _what_is_wrong(fault)
            return Refusal(ROW_INVALID, rule=rule, field=field)
        for name in self._days:
            day: dt.date | None = getattr(row, name)
            if day is not None and out_of_calendar(day):
                return Refusal(ROW_INVALID, rule="DATE_OUT_OF_RANGE", field=name)
        if _plainly_storable(staged.data):
            return row
        found = _unstorable(row)
        return row if found is None else Refusal(ROW_INVALID, rule=found[0], field=found[1])


@lru_cache(maxsize=64)
def row_parser(row_type: type[R]) -> RowParser[R]:
    """The parser of a kind's rows; making one takes longer than what it does for a row."""
    return RowParser(row_type)


def _day_fields(row_type: type[msgspec.Struct]) -> list[str]:
    """Its own fields that hold a day or a moment; rows of days within days there are none."""
    found = []
    for each in msgspec.inspect.type_info(row_type).fields:  # type: ignore[attr-defined]
        kinds = each.type.types if isinstance(each.type, msgspec.inspect.UnionType) else (each.type,)
        if any(isinstance(kind, msgspec.inspect.DateType | msgspec.inspect.DateTimeType) for kind in kinds):
            found.append(each.name)
    return found


_MISSING = re.compile(r"missing required field `(\w+)`", re.ASCII)
_RULES = (
    ("Expected `int", "NOT_A_NUMBER"),
    ("encoded date", "NOT_A_DATE"),
    ("day or moment between", "DATE_OUT_OF_RANGE"),
    ("Expected `str", "NOT_A_TEXT"),
    ("enum value", "VALUE_NOT_ALLOWED"),
    ("unknown field", "FIELD_UNKNOWN"),
)


def _what_is_wrong(fault: msgspec.ValidationError) -> tuple[str, str]:
    """Rule and field; the fault's own text may quote a value, a name of ours is all that is taken from it."""
    text, field = str(fault), fault_field(fault)
    missing = _MISSING.search(text)
    if missing is not None:
        return "FIELD_MISSING", f"{field}.{missing[1]}" if field else missing[1]
    return next((rule for words, rule in _RULES if words in text), "VALIDATION_FAILED"), field


_SUSPICIOUS = bytes(
    0x30 if 0x30 <= byte <= 0x39 else 0x7F if byte in b"\\\x7f" else 0x20 for byte in range(256)
)
"""What a control character (an escape, that is) or a large number would look like in the row's JSON: all digits
are one, and all else is nothing. A pattern takes ten times as long."""


def _plainly_storable(told: msgspec.Raw) -> bool:
    """Whether one look at the row's JSON tells that nothing in it is wrong; False: look at each value."""
    if len(told) > LONGEST:
        return False
    seen = bytes(told).translate(_SUSPICIOUS)
    return b"\x7f" not in seen and b"0" * 16 not in seen


def _unstorable(value: Any, name: str = "") -> tuple[str, str] | None:
    """Rule and field of what would be stored and then stop whoever reads it; None when there is nothing."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            return "TEXT_TOO_LONG", name
        return ("CONTROL_CHARACTER", name) if _CONTROL.search(value) else None
    if isinstance(value, int):
        return ("NUMBER_TOO_LARGE", name) if abs(value) > LARGEST else None
    if isinstance(value, msgspec.Struct):
        parts = ((each, getattr(value, each)) for each in value.__struct_fields__)
    elif isinstance(value, list | tuple):
        parts = ((str(number), each) for number, each in enumerate(value))
    else:
        return None
    for part, each in parts:
        found = _unstorable(each, f"{name}.{part}" if name else part)
        if found is not None:
            return found
    return None


def slice_metadata(job: Row, context: JobContext) -> Metadata:
    """What the events of a slice say of who sent the file."""
    return Metadata(
        correlation=job.correlation,
        causation=f"import:{job.import_id}",
        actor=job.actor,
        organisation=job.organisation,
        campaign=context.campaign,
    )


def row_context(
    job: Row, context: JobContext, metadata: Metadata, number: int, prepared: Any
) -> ImportContext:
    """What the row's command is made with."""
    return ImportContext(
        job.import_id,
        number,
        job.organisation,
        job.actor,
        context.divisions,
        context.parameters,
        metadata,
        IdempotencyKey("", f"import_{job.kind}", f"{job.import_id}:{number}", b""),
        prepared,
    )


class RowOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a row: codes and ids, never content.

    outcome: accepted or refused. id: what the command answered under ``ImportKind.answers``.
    """

    row: int
    outcome: str
    id: str = ""
    code: str = ""
    rule: str = ""
    field: str = ""


def row_outcome(number: int, outcome: Outcome, answers: str) -> RowOutcome:
    """A command's answer as a row's outcome."""
    if isinstance(outcome, Refusal):
        return RowOutcome(number, "refused", "", outcome.code, outcome.rule, outcome.field)
    return RowOutcome(number, "accepted", _answered(outcome.response, answers))


def _answered(response: bytes, answers: str) -> str:
    body = msgspec.json.decode(response) if answers and response else None
    return str(body.get(answers, "")) if isinstance(body, dict) else ""
