"""Refusals are values; problems carry them out; events know their names."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.kernel.errors import OverloadedError, ProblemError, Refusal
from shared.kernel.events import DayBegun, snake_case


def test_a_problem_says_its_code_and_nothing_else() -> None:
    error = ProblemError(Refusal("ALREADY_PAID", field="lines.0"), retry_after=3)
    assert str(error) == "ALREADY_PAID"
    assert (error.status, error.retry_after) == (None, 3)


def test_overload_says_when_to_come_back() -> None:
    assert OverloadedError().retry_after == 1


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("PaymentReceived", "payment_received"),
        ("IDTaken", "id_taken"),
        ("TaxVoucherIssued", "tax_voucher_issued"),
        ("Day2Begun", "day2_begun"),
    ],
)
def test_class_names_become_snake_case(name: str, wire: str) -> None:
    assert snake_case(name) == wire


def test_events_cannot_be_changed() -> None:
    event = DayBegun(day=dt.date(2020, 1, 1))
    with pytest.raises(AttributeError):
        event.day = dt.date(2020, 1, 2)  # type: ignore[misc]
