"""GB 11643 identity numbers (I-03): length, digits, date, check character; no list of places."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.identity import Sex, birth_of, check_character, full_years, identity_fault, sex_of

TODAY = dt.date(2020, 1, 1)


def number(first17: str) -> str:
    return first17 + check_character(first17)


def test_a_published_example_is_valid() -> None:
    """GB 11643's own example has check character X."""
    assert check_character("11010519491231002") == "X"
    assert identity_fault("11010519491231002X", TODAY) is None


def test_a_county_code_younger_than_the_person_is_no_fault() -> None:
    """370406 got its code after these births; a place list would refuse them all."""
    assert identity_fault(number("37040619400101001"), TODAY) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "ID_LENGTH"),
        ("1101051949123100", "ID_LENGTH"),
        ("11010519491231002XX", "ID_LENGTH"),
        ("1101051949123100AX", "ID_DIGITS"),
        ("11010519491231002x", "ID_DIGITS"),
        ("１１０１０５１９４９１２３１００２X", "ID_DIGITS"),
        (number("11010519490231002"), "ID_BIRTH_DATE"),
        (number("11010518491231002"), "ID_BIRTH_DATE"),
        (number("11010520200102002"), "ID_BIRTH_DATE"),
        ("110105194912310021", "ID_CHECK_CHARACTER"),
    ],
)
def test_what_is_wrong_is_named(text: str, rule: str) -> None:
    assert identity_fault(text, TODAY) == rule


def test_born_today_is_valid() -> None:
    assert identity_fault(number("37040620200101001"), TODAY) is None


def test_birth_and_sex_are_read_from_the_number() -> None:
    assert birth_of("11010519491231002X") == dt.date(1949, 12, 31)
    assert sex_of("11010519491231002X") is Sex.FEMALE
    assert sex_of(number("37040619900101001")) is Sex.MALE


@given(
    st.dates(dt.date(1900, 1, 1), TODAY),
    st.integers(0, 999),
    st.integers(0, 16),
    st.sampled_from("0123456789"),
)
def test_one_mistyped_digit_is_always_found(birth: dt.date, sequence: int, place: int, digit: str) -> None:
    """ISO 7064 MOD 11-2 detects every single substitution."""
    good = number(f"370406{birth:%Y%m%d}{sequence:03d}")
    bad = good[:place] + digit + good[place + 1 :]
    assert (identity_fault(bad, TODAY) is None) == (bad == good)


@pytest.mark.parametrize(
    ("birth", "on", "age"),
    [
        (dt.date(2004, 2, 29), dt.date(2020, 2, 28), 15),
        (dt.date(2004, 2, 29), dt.date(2020, 2, 29), 16),
        (dt.date(2004, 2, 29), dt.date(2021, 2, 28), 16),
        (dt.date(2004, 2, 29), dt.date(2021, 3, 1), 17),
        (dt.date(1960, 1, 1), dt.date(2020, 1, 1), 60),
        (dt.date(1960, 1, 2), dt.date(2020, 1, 1), 59),
    ],
)
def test_full_years_turn_on_the_birthday(birth: dt.date, on: dt.date, age: int) -> None:
    assert full_years(birth, on) == age
