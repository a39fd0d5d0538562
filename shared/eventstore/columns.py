"""Column types that mean the same on PostgreSQL and on SQLite."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from shared.kernel.clock import SHANGHAI


class Moment(TypeDecorator[dt.datetime]):
    """An aware point in time: ``timestamptz`` on PostgreSQL, sortable UTC text on SQLite.

    Read back in Asia/Shanghai. Raises ValueError when a naive datetime is bound.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(32))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a Moment needs an aware datetime")
        if dialect.name != "sqlite":
            return value
        return value.astimezone(dt.UTC).isoformat(timespec="microseconds")

    def process_result_value(  # SQLAlchemy passes the dialect by position
        self,
        value: Any,
        _dialect: Dialect,
    ) -> dt.datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        moment: dt.datetime = value.astimezone(SHANGHAI)
        return moment
