"""Integer fen only (architecture §5, money)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.money import ZERO, Fen, format_yuan, total, yuan


def test_whole_yuan_become_fen() -> None:
    assert yuan(280) == 28_000


@pytest.mark.parametrize("amount", [280.0, "280", True, None])
def test_yuan_refuses_everything_but_an_int(amount: object) -> None:
    """Floats never reach money, and True is not one yuan."""
    with pytest.raises(TypeError):
        yuan(amount)  # type: ignore[arg-type]


def test_total_of_nothing_is_zero() -> None:
    assert total([]) == ZERO
    assert total([Fen(1), Fen(-3)]) == -2


@pytest.mark.parametrize(
    ("fen", "text"),
    [(0, "0.00"), (5, "0.05"), (12_345, "123.45"), (-5, "-0.05"), (123_456_789, "1,234,567.89")],
)
def test_fen_are_formatted_for_people(fen: int, text: str) -> None:
    assert format_yuan(Fen(fen)) == text


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_formatting_loses_no_fen(fen: int) -> None:
    text = format_yuan(Fen(fen)).replace(",", "")
    assert int(text.replace(".", "")) == fen
