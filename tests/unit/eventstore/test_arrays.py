"""Rows on their way to PostgreSQL: texts go joined where that says the same, else as arrays."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from shared.eventstore.arrays import FEW, NOTHING, SEPARATOR, array_sql, arrays_of

purse = sa.Table(
    "purse",
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("label", sa.Text),
    sa.Column("fen", sa.BigInteger),
)
COLUMNS = ["name", "label", "fen"]


def rows(*labels: str | None) -> list[dict[str, object]]:
    return [{"name": f"p{number}", "label": label, "fen": number} for number, label in enumerate(labels)]


def test_texts_are_joined_and_numbers_are_not() -> None:
    joined, values = arrays_of(purse, COLUMNS, rows("a", "", "c", "d"))
    assert joined
    assert values == ["p0\x01p1\x01p2\x01p3", "a\x01\x01c\x01d", [0, 1, 2, 3], SEPARATOR, NOTHING]
    assert array_sql(purse, COLUMNS, joined=True) == (
        "string_to_array($1, $4, $5), string_to_array($2, $4, $5), CAST($3 AS BIGINT[])"
    )


def test_none_goes_as_a_mark_of_its_own() -> None:
    joined, values = arrays_of(purse, COLUMNS, rows("a", None, "", None))
    assert (joined, values[1]) == (True, "a\x01\x02\x01\x01\x02")


@pytest.mark.parametrize("odd", [SEPARATOR, NOTHING, f"a{SEPARATOR}b", f"{NOTHING}b"])
@pytest.mark.parametrize("other", ["a", None])
def test_a_text_that_holds_a_mark_sends_all_as_arrays(odd: str, other: str | None) -> None:
    told = rows(other, odd, "c", "d")
    joined, values = arrays_of(purse, COLUMNS, told)
    assert (joined, values[1]) == (False, [other, odd, "c", "d"])
    assert array_sql(purse, COLUMNS, joined=False).startswith("CAST($1 AS text[])")


def test_few_rows_go_as_arrays() -> None:
    """One empty text alone would be no text at all."""
    joined, values = arrays_of(purse, COLUMNS, rows("")[: FEW - 1])
    assert (joined, values) == (False, [["p0"], [""], [0]])
