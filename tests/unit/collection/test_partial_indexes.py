"""A plan made for any values uses a partial index only where the statement says its condition in so many words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.collection.reconciliation.queries import SnapshotFacts
from services.collection.reconciliation.tables import money_line
from services.collection.treasury.projection import treasury_line
from services.collection.treasury.queries import declared_lines, settled_channel_lines
from shared.eventstore.statements import DIALECT


class Listening:
    """A connection that has no rows and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def execute(self, statement: Any) -> list[Any]:
        self.asked.append(str(statement.compile(dialect=DIALECT)))
        return []


async def nothing(_connection: Any, _line_ids: Any) -> dict[str, Any]:
    return {}


CASES: dict[str, tuple[sa.Table, Callable[[Any], Awaitable[Any]]]] = {
    "treasury_line_waiting": (
        treasury_line,
        lambda connection: settled_channel_lines(connection, nothing, campaign="c", source="WECHAT"),
    ),
    "treasury_line_by_declaration": (treasury_line, lambda connection: declared_lines(connection, "d")),
    "money_line_unidentified": (
        money_line,
        lambda connection: SnapshotFacts().load(connection, [("c", dt.date(2020, 1, 1))]),
    ),
}


@pytest.mark.parametrize("index", CASES)
async def test_the_statement_says_the_indexs_condition(index: str) -> None:
    table, ask = CASES[index]
    connection = Listening()
    await ask(connection)
    found = next(each for each in table.indexes if each.name == index)
    condition = str(found.dialect_options["postgresql"]["where"].compile(dialect=DIALECT))
    assert any(condition in sql for sql in connection.asked)
    assert "%(" not in condition
    assert "$" not in condition
