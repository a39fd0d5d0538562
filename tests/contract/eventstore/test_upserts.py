"""Upserts and amendments on both databases: rows come back as they were given."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from shared.eventstore.database import Connection
from shared.kernel.clock import SHANGHAI
from tests.contract.eventstore.sample import Parts, all_rows, mixed, mixed_row, totals


class TestUpsert:
    async def test_every_type_survives(self, parts: Parts) -> None:
        async with parts.database.begin() as connection:
            await connection.upsert(mixed, [mixed_row("a"), {**mixed_row("b"), "on_day": None, "at": None}])
        first, second = await all_rows(parts.database, mixed)
        assert first == mixed_row("a")
        assert first["at"].utcoffset() == dt.datetime.now(SHANGHAI).utcoffset()
        assert (second["on_day"], second["at"]) == (None, None)

    async def test_a_naive_moment_is_refused(self, parts: Parts) -> None:
        with pytest.raises((ValueError, sa.exc.StatementError)):
            async with parts.database.begin() as connection:
                await connection.upsert(mixed, [{**mixed_row("a"), "at": dt.datetime(2020, 1, 1)}])  # noqa: DTZ001

    async def test_repeated_keys_of_one_call_are_applied_in_order(self, parts: Parts) -> None:
        """Counters add up, kept columns stay the first, others become the last."""

        def row(fen: int, label: str) -> dict[str, Any]:
            return {"purse": "p", "fen": fen, "payments": 1, "first_label": label, "last_label": label}

        for _ in range(2):
            async with parts.database.begin() as connection:
                await connection.upsert(
                    totals,
                    [row(1, "one"), row(2, "two"), row(4, "three")],
                    add=("fen", "payments"),
                    keep=("first_label",),
                )
        expected = {"purse": "p", "fen": 14, "payments": 6, "first_label": "one", "last_label": "three"}
        assert await all_rows(parts.database, totals) == [expected]
        async with parts.database.begin() as connection:
            await connection.upsert(totals, [row(9, "x"), row(8, "y")], ignore=True)
        assert await all_rows(parts.database, totals) == [expected]

    @pytest.mark.parametrize("odd", ["", "\x01", "\x02", "\x02\x01", "中,文", '"}', "NULL"])
    @pytest.mark.parametrize("count", [1, 3, 4, 9])
    async def test_any_text_comes_back_as_it_was(self, parts: Parts, odd: str, count: int) -> None:
        """However many rows go at once, texts are the ones that were given: empty ones, too, and those that hold what
        parts them on their way."""

        def row(number: int, text: str) -> dict[str, Any]:
            return {
                "purse": f"p{number}",
                "fen": number,
                "payments": 1,
                "first_label": text,
                "last_label": odd,
            }

        rows = [row(number, (odd, "a")[number % 2]) for number in range(count)]
        async with parts.database.begin() as connection:
            await connection.upsert(totals, rows)
        assert await all_rows(parts.database, totals) == rows
        changed = [{"purse": f"p{number}", "first_label": odd, "last_label": "b"} for number in range(count)]
        async with parts.database.begin() as connection:
            await connection.amend(totals, changed)
        assert await all_rows(parts.database, totals) == [
            {**a, **b} for a, b in zip(rows, changed, strict=True)
        ]

    async def test_rows_need_the_same_columns(self, parts: Parts) -> None:
        with pytest.raises(ValueError, match="same columns"):
            async with parts.database.begin() as connection:
                await connection.upsert(mixed, [mixed_row("a"), {"id": "b"}])

    async def test_an_exception_rolls_back(self, parts: Parts) -> None:
        async def write_and_raise() -> None:
            async with parts.database.begin() as connection:
                await connection.upsert(mixed, [mixed_row("a")])
                raise LookupError

        with pytest.raises(LookupError):
            await write_and_raise()
        assert await all_rows(parts.database, mixed) == []

    async def test_a_read_only_transaction_cannot_write(self, parts: Parts) -> None:
        with pytest.raises(Exception, match=r"(?i)read-?only"):
            async with parts.database.read() as connection:
                await connection.execute(sa.delete(mixed))
        for write in (Connection.upsert, Connection.amend):
            with pytest.raises(Exception, match=r"(?i)read-?only"):
                async with parts.database.read() as connection:
                    await getattr(connection, write.__name__)(mixed, [mixed_row("a")])
        async with parts.database.begin() as connection:
            await connection.upsert(mixed, [mixed_row("a")])
        assert await all_rows(parts.database, mixed) == [mixed_row("a")]
