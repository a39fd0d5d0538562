"""Keyset pagination (分页): ``?after=&limit=`` answers ``{"items": [...], "next": "..."}``.

The cursor is the last row's key, opaque to callers; rows that come in between move nothing.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa
from fastapi import Query

from shared.kernel.errors import ProblemError, Refusal

MAX_LIMIT = 5000
DEFAULT_LIMIT = 100

T = TypeVar("T")

After = Annotated[str, Query(description="上一页的 next / `next` of the page before", max_length=512)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="每页条数 / items per page")]


class Paged(msgspec.Struct, Generic[T], frozen=True):
    """A page; ``next`` is None on the last one."""

    items: list[T]
    next: str | None = None


def encode_cursor(values: Sequence[Any]) -> str:
    """Key values (text, int, date) as an opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(values))).decode().rstrip("=")


def decode_cursor(cursor: str, columns: Sequence[sa.ColumnElement[Any]]) -> list[Any]:
    """Key values of a cursor, typed as the columns. Raises ProblemError CURSOR_INVALID (400)."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        values = msgspec.json.decode(raw, type=list[str | int])
        if len(values) != len(columns):
            raise ValueError
        return [_typed(value, column) for value, column in zip(values, columns, strict=True)]
    except (ValueError, TypeError, binascii.Error, msgspec.MsgspecError, NotImplementedError):
        raise ProblemError(Refusal("CURSOR_INVALID", field="after")) from None


def _typed(value: str | int, column: sa.ColumnElement[Any]) -> Any:
    kind = column.type.python_type
    if kind is dt.date:
        return dt.date.fromisoformat(str(value))
    if kind is dt.datetime:
        return dt.datetime.fromisoformat(str(value))
    if type(value) is not kind:
        raise TypeError
    return value


def inside(column: sa.ColumnElement[Any], divisions: Sequence[str]) -> sa.ColumnElement[bool]:
    """True for rows whose division lies in one of the caller's; the empty prefix holds everything."""
    return sa.or_(sa.false(), *(column.startswith(scope, autoescape=True) for scope in divisions))


def placed_inside(
    village: sa.ColumnElement[str], campaign: sa.ColumnElement[str], divisions: Sequence[str]
) -> sa.ColumnElement[bool]:
    """As ``inside``; a row of many villages (village "") is for whoever has its whole campaign."""
    whole = sa.and_(village == "", inside(campaign, divisions))
    return sa.or_(whole, sa.and_(village != "", inside(village, divisions)))


def keyset(
    statement: sa.Select[Any], columns: Sequence[sa.ColumnElement[Any]], after: str, limit: int
) -> sa.Select[Any]:
    """``statement`` ordered by ``columns`` (together unique), from behind ``after``, one row more than
    ``limit`` so that ``paged`` knows whether there is a next page."""
    if after:
        values = decode_cursor(after, columns)
        behind = sa.tuple_(*columns) > sa.tuple_(
            *(sa.literal(value, column.type) for value, column in zip(values, columns, strict=True))
        )
        statement = statement.where(behind)
    return statement.order_by(*columns).limit(min(limit, MAX_LIMIT) + 1)


def paged(
    rows: Sequence[Any], limit: int, item: Callable[[Any], T], key: Callable[[Any], Sequence[Any]]
) -> Paged[T]:
    """Rows of a ``keyset`` statement as a page. ``key``: the column values of a row, in order."""
    some = rows[: min(limit, MAX_LIMIT)]
    more = len(rows) > len(some)
    return Paged([item(row) for row in some], encode_cursor(key(some[-1])) if more and some else None)
