"""Statements mean the same on both databases, however they are run: lists, dates, moments, returned rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from shared.eventstore.database import Row
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.statements import shape_of
from shared.kernel.clock import SHANGHAI
from tests.contract.eventstore.sample import Parts, mixed, mixed_row, totals

NAMES = ["a", "b", "c", "d"]


async def filled(parts: Parts) -> None:
    rows = [{**mixed_row(name, number), "on_day": None} for number, name in enumerate(NAMES, 1)]
    rows[1]["on_day"] = dt.date(2021, 1, 1)
    async with parts.database.begin() as connection:
        await connection.upsert(mixed, rows)


async def rows_of(parts: Parts, statement: Any) -> list[Row]:
    async with parts.database.read() as connection:
        return list(await connection.execute(statement))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (mixed.c.id.in_(["a", "c", "nobody"]), ["a", "c"]),
        (mixed.c.id.in_([]), []),
        (mixed.c.id.not_in(["a", "c"]), ["b", "d"]),
        (mixed.c.id.not_in([]), NAMES),
        (mixed.c.number.in_([2, 4, 2**40]), ["b", "d"]),
        (mixed.c.on_day.in_([dt.date(2021, 1, 1)]), ["b"]),
        (mixed.c.at.in_([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]), NAMES),
        (sa.tuple_(mixed.c.id, mixed.c.number).in_([("a", 1), ("b", 1)]), ["a"]),
        (mixed.c.id.in_(sa.select(mixed.c.id).where(mixed.c.number > 3)), ["d"]),
        (sa.and_(mixed.c.flag, sa.or_(mixed.c.number.in_([1]), mixed.c.id.in_(["d"]))), ["a", "d"]),
    ],
)
async def test_lists(parts: Parts, condition: Any, expected: list[str]) -> None:
    await filled(parts)
    rows = await rows_of(parts, sa.select(mixed.c.id).where(condition).order_by(mixed.c.id))
    assert [row.id for row in rows] == expected


async def test_one_shape_serves_every_length_and_value(parts: Parts) -> None:
    await filled(parts)
    for wanted in (["a"], ["b", "c"], ["d"] * 300, [], ["c"]):
        rows = await rows_of(parts, sa.select(mixed.c.id).where(mixed.c.id.in_(wanted)).limit(3))
        assert {row.id for row in rows} == set(wanted)
    shapes = {id(shape_of(sa.select(mixed.c.id).where(mixed.c.id.in_(names)))[0]) for names in (["a"], NAMES)}  # type: ignore[index]
    assert len(shapes) == 1


async def test_rows_are_read_by_name_place_and_mapping(parts: Parts) -> None:
    await filled(parts)
    other = mixed.alias("other")
    (row,) = await rows_of(
        parts,
        sa.select(mixed, other.c.id, (mixed.c.number + 1).label("next"), sa.func.count().over().label("n"))
        .join(other, other.c.number == mixed.c.number)
        .where(mixed.c.id == "b"),
    )
    assert (row.id, row[0], row.next, row.n) == ("b", "b", 3, 1)
    assert (row.on_day, row.document, bytes(row.blob)) == (
        dt.date(2021, 1, 1),
        {"b": [1, None], "a": "中"},
        b"\x00\xff",
    )
    assert row.at == dt.datetime(2020, 1, 1, 8, tzinfo=SHANGHAI)
    assert row.at.tzinfo is SHANGHAI
    assert dict(row._mapping)["number"] == 2
    assert tuple(row)[-3:] == ("b", 3, 1)


async def test_changes_answer_what_they_return(parts: Parts) -> None:
    await filled(parts)
    async with parts.database.begin() as connection:
        changed = await connection.execute(
            sa.update(mixed)
            .where(mixed.c.id.in_(["a", "b"]))
            .values(number=mixed.c.number + 10, at=dt.datetime(2022, 1, 1, tzinfo=dt.UTC))
            .returning(mixed.c.id, mixed.c.at)
        )
        assert sorted((row.id, row.at.year) for row in changed) == [("a", 2022), ("b", 2022)]
        assert await connection.execute(sa.update(mixed).values(flag=False)) == []
        gone = await connection.execute(sa.delete(mixed).where(mixed.c.number > 10).returning(mixed.c.id))
        assert sorted(row.id for row in gone) == ["a", "b"]
    left = await rows_of(parts, sa.select(mixed.c.id, mixed.c.flag).order_by(mixed.c.id.desc()))
    assert [tuple(row) for row in left] == [("d", False), ("c", False)]


async def test_a_union_of_lists(parts: Parts) -> None:
    await filled(parts)
    union = sa.union(
        sa.select(mixed.c.id).where(mixed.c.id.in_(["a"])),
        sa.select(mixed.c.id).where(mixed.c.number.in_([3, 4])),
        sa.select(totals.c.purse).where(totals.c.fen == 1),
    )
    assert sorted(row[0] for row in await rows_of(parts, union)) == ["a", "c", "d"]


async def test_a_naive_moment_in_a_list_is_refused(parts: Parts) -> None:
    naive = dt.datetime(2020, 1, 1)  # noqa: DTZ001
    with pytest.raises((ValueError, sa.exc.StatementError)):
        await rows_of(parts, sa.select(mixed.c.id).where(mixed.c.at.in_([naive])))


async def left_open(database: PostgresDatabase) -> Any:
    """A session whose caller began a transaction and forgot it."""
    async with database.connect() as connection:
        await connection.driver.execute("BEGIN")
        return connection.driver


async def test_a_session_left_in_a_transaction_is_not_used_again(parts: Parts) -> None:
    """Nor one that the server ended; the next caller gets a good one."""
    if not isinstance(parts.database, PostgresDatabase):
        pytest.skip("memory has one connection")
    spoilt = await left_open(parts.database)
    assert spoilt.is_closed()
    async with parts.database.connect() as connection:
        ended, pid = connection.driver, await connection.driver.fetchval("SELECT pg_backend_pid()")
    async with parts.database.begin() as connection:
        assert connection.driver is ended
    async with parts.database.direct() as driver:
        await driver.execute("SELECT pg_terminate_backend($1)", pid)
        await driver.fetchval("SELECT pg_sleep(0.1)")
    async with parts.database.begin() as connection:
        assert await connection.execute(sa.select(sa.literal(1).label("one"))) == [(1,)]
