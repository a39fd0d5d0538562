"""Statements mean the same on both databases, however they are run: lists, dates, moments, returned rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from shared.eventstore import sessions
from shared.eventstore.database import Row, among
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


async def test_a_statement_of_a_module_is_given_its_list_when_it_runs(parts: Parts) -> None:
    await filled(parts)
    lasting = sa.select(mixed.c.id).where(among(mixed.c.id), mixed.c.number < 4).order_by(mixed.c.id)
    async with parts.database.read() as connection:
        for wanted, expected in ((["a", "d"], ["a"]), ([], []), (["c", "b", "nobody"], ["b", "c"])):
            rows = await connection.execute(lasting, {"keys": wanted})
            assert [row.id for row in rows] == expected
        with pytest.raises(sa.exc.SQLAlchemyError):
            await connection.execute(lasting)


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


def test_the_driver_runs_changes_itself() -> None:
    """The text is the same for every number of rows, in the live tables and in schema ``shadow``."""
    change = sa.update(mixed).where(mixed.c.id.in_(["a", "b"])).values(number=mixed.c.number + 10, flag=True)
    for schemas, table in ((None, "mixed"), ({None: "shadow"}, "shadow.mixed")):
        found = shape_of(change, schemas)
        assert found is not None
        shape, parameters = found
        assert f"UPDATE {table} SET" in shape.sql
        assert f"{table}.id = ANY (" in shape.sql
        assert sorted(map(str, shape.values(parameters, {}))) == ["10", "True", "['a', 'b']"]


async def test_amending_rows_leaves_others_and_other_columns(parts: Parts) -> None:
    """Only rows that exist, of repeated keys the last, and nothing but the columns given."""
    await filled(parts)
    day, at = dt.date(2023, 5, 6), dt.datetime(2023, 5, 6, tzinfo=dt.UTC)
    async with parts.database.begin() as connection:
        await connection.amend(mixed, [])
        await connection.amend(
            mixed,
            [
                {"id": "a", "on_day": day, "at": at, "number": 70},
                {"id": "c", "on_day": None, "at": at, "number": 7},
                {"id": "a", "on_day": day, "at": at, "number": 71},
                {"id": "nobody", "on_day": day, "at": at, "number": 1},
            ],
        )
    rows = await rows_of(parts, sa.select(mixed).order_by(mixed.c.id))
    assert [(row.id, row.number, row.on_day, row.at.year) for row in rows] == [
        ("a", 71, day, 2023),
        ("b", 2, dt.date(2021, 1, 1), 2020),
        ("c", 7, None, 2023),
        ("d", 4, None, 2020),
    ]
    assert {row.flag for row in rows} == {True}


async def test_amending_in_the_shadow_leaves_the_live_row(parts: Parts) -> None:
    """``shadowed`` changes what a replay writes, whichever way a statement is run."""
    await filled(parts)
    async with parts.database.begin() as connection:
        shadow = connection.shadowed()  # type: ignore[attr-defined]
        await shadow.execute(sa.schema.DropTable(mixed, if_exists=True))
        await shadow.execute(sa.schema.CreateTable(mixed))
        await shadow.upsert(mixed, [mixed_row("a")])
        await shadow.amend(mixed, [{"id": "a", "number": 50}])
        await shadow.execute(sa.update(mixed).where(mixed.c.id == "a").values(number=mixed.c.number + 2))
        assert (await shadow.execute(sa.select(mixed.c.number)))[0][0] == 52
        await shadow.execute(sa.schema.DropTable(mixed))
    live = await rows_of(parts, sa.select(mixed.c.number).order_by(mixed.c.id))
    assert [row.number for row in live] == [1, 2, 3, 4]


async def test_sessions_ask_for_types_of_the_server_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second session knows an array type the first one asked for."""
    if not isinstance(parts.database, PostgresDatabase):
        pytest.skip("memory has no sessions")
    asked: list[Any] = []
    ask = asyncpg.Connection._introspect_types

    async def noted(session: Any, types: Any, limit: Any) -> Any:
        asked.append(sorted(types))
        return await ask(session, types, limit)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", noted)
    monkeypatch.setattr(sessions, "_KNOWN", {})
    days = [dt.date(2024, 2, 29), None]
    async with parts.database.direct() as one, parts.database.direct() as two:
        assert one is not two
        assert await one.fetchval("SELECT $1::date[]", days) == days
        assert len(asked) == 1
        assert await two.fetchval("SELECT $1::date[]", days) == days
        assert len(asked) == 1


@pytest.mark.parametrize(
    "values", [["a,b", None, '"', ""], ("a",), [], {"k": 1}.keys(), {"k": "v"}.values(), frozenset({"x"})]
)
async def test_what_may_be_sent_as_an_array(parts: Parts, values: Any) -> None:
    """Texts are elements, never arrays of characters."""
    if not isinstance(parts.database, PostgresDatabase):
        pytest.skip("memory has no arrays")
    async with parts.database.direct() as driver:
        assert await driver.fetchval("SELECT $1::text[]", values) == list(values)
        assert await driver.fetchval("SELECT $1::int[]", [[1, 2], [3, 4]]) == [[1, 2], [3, 4]]
        for wrong in ("text", 5, {"a": 1}):
            with pytest.raises(asyncpg.DataError):
                await driver.fetchval("SELECT $1::text[]", wrong)


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
