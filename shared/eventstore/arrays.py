"""Rows as arrays on their way to PostgreSQL, one per column (``unnest``).

An array costs the driver a call per element; a text costs it one. So columns of text go joined by a separator that
stands in none of them, and the server takes them apart; all other columns go as arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from shared.eventstore.statements import DIALECT, array_type

FEW = 4
"""Rows that go as arrays anyway. One empty text alone would look like no text at all."""

SEPARATOR, NOTHING = "\x01", "\x02"
"""Between two texts, and what stands for none (NULL)."""


def array_sql(table: sa.Table, columns: Sequence[str], *, joined: bool) -> str:
    """What ``unnest`` is given for the parameters of ``arrays_of``."""
    types = [table.c[name].type for name in columns]
    last = len(types)
    return ", ".join(
        f"string_to_array(${number}, ${last + 1}, ${last + 2})"
        if joined and _is_text(each)
        else f"CAST(${number} AS {array_type(each)})"
        for number, each in enumerate(types, start=1)
    )


def arrays_of(
    table: sa.Table, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> tuple[bool, list[Any]]:
    """Whether texts are joined, and the parameters."""
    types = [table.c[name].type for name in columns]
    arrays: list[Any] = []
    for name, each in zip(columns, types, strict=True):
        values, process = map(itemgetter(name), rows), _processor(each)
        arrays.append(list(values if process is None else map(process, values)))
    if len(rows) < FEW or not any(map(_is_text, types)):
        return False, arrays
    texts = [
        _joined(values) if _is_text(each) else values for each, values in zip(types, arrays, strict=True)
    ]
    return (False, arrays) if None in texts else (True, [*texts, SEPARATOR, NOTHING])


def _joined(values: list[str | None]) -> str | None:
    """The texts as one; None when one of them holds what parts them."""
    if None in values:
        marked = [NOTHING if value is None else value for value in values]
        text = SEPARATOR.join(marked)
        if text.count(NOTHING) != values.count(None):
            return None
    else:
        text = SEPARATOR.join(values)  # type: ignore[arg-type]
        if NOTHING in text:
            return None
    return text if text.count(SEPARATOR) == len(values) - 1 else None


def _is_text(column: Any) -> bool:
    """Whether a column is plain text, in Python and in the database."""
    return type(column) in (sa.Text, sa.String)


def _processor(column: Any) -> Any:
    """What turns a Python value into what asyncpg takes; None when they are the same."""
    if isinstance(column, sa.String | sa.Integer | sa.LargeBinary | sa.Date | sa.Boolean):
        return None
    return column.dialect_impl(DIALECT).bind_processor(DIALECT)
