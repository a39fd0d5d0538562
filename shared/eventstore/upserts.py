"""The part of upsert that both dialects share: repeated keys of one call, columns to set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa


def merge_rows(
    table: sa.Table,
    rows: Iterable[Mapping[str, Any]],
    *,
    add: Sequence[str],
    keep: Sequence[str],
    ignore: bool,
) -> list[Mapping[str, Any]]:
    """One row per primary key, with the effect the rows would have one after the other.

    The first row's ``keep`` columns, the sum of the ``add`` columns, the last of all others; with ``ignore``
    the first row. PostgreSQL refuses to touch one row twice in a statement. Raises ValueError when rows
    differ in their columns.
    """
    keys = [column.name for column in table.primary_key.columns]
    key_of = itemgetter(*keys)
    merged: dict[Any, Mapping[str, Any]] = {}
    columns: set[str] | None = None
    for row in rows:
        if columns is None:
            columns = set(row)
            unknown = columns - set(table.c.keys())
            if unknown or not set(keys) <= columns:
                raise ValueError(f"rows for {table.name} need its key and only its columns")
        elif columns != row.keys():
            raise ValueError(f"rows of one upsert into {table.name} need the same columns")
        key = key_of(row)
        before = merged.get(key)
        if before is None:
            merged[key] = row
        elif not ignore:
            later = dict(row)
            for name in add:
                later[name] = before[name] + later[name]
            for name in keep:
                later[name] = before[name]
            merged[key] = later
    return list(merged.values())


def upsert_statement(
    insert: Any,
    table: sa.Table,
    columns: Iterable[str],
    *,
    add: Sequence[str],
    keep: Sequence[str],
    ignore: bool,
) -> Any:
    """``insert`` (a dialect's Insert of ``table``) with its ON CONFLICT clause."""
    keys = {column.name for column in table.primary_key.columns}
    changed: dict[str, Any] = {}
    for name in columns:
        if name in keys or name in keep:
            continue
        excluded = insert.excluded[name]
        changed[name] = table.c[name] + excluded if name in add else excluded
    if ignore:
        return insert.on_conflict_do_nothing()
    if not changed:
        return insert.on_conflict_do_nothing(index_elements=list(table.primary_key.columns))
    return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)
