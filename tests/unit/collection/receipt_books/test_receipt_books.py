"""Receipt books (票据领用、移交): issued + void + unused = handed out (000:L206-210, I-19)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.collection.receipt_books import domain as d
from services.collection.receipt_books import events as e
from services.collection.receipt_books.publication import ReceiptBookPublication
from shared.contracts.collection import UnusedReceiptsReturnedV1
from shared.kernel.errors import Refusal

OUT = e.ReceiptBookHandedOut(
    book_no="B-1",
    campaign="370406101-2018",
    village="370406101201",
    agent_id="A-1",
    first="000001",
    last="000010",
)
USAGE = d.Usage(frozenset({"000001", "000002", "000004"}), frozenset({"000003"}))


def handed_out() -> d.Book:
    return d.evolve(d.Book(), OUT)


def test_a_book_goes_to_one_agent_once() -> None:
    """The same again says nothing new; other forms or another agent under the number are refused."""
    assert d.hand_out(d.Book(), OUT) == [OUT]
    assert d.hand_out(handed_out(), OUT) == []
    other = e.ReceiptBookHandedOut(
        book_no="B-1",
        campaign=OUT.campaign,
        village=OUT.village,
        agent_id="A-2",
        first="000001",
        last="000010",
    )
    refused = d.hand_out(handed_out(), other)
    assert isinstance(refused, Refusal)
    assert refused.rule == "BOOK_HANDED_OUT"


@pytest.mark.parametrize(("first", "last"), [("10", "9"), ("1", "10"), ("a", "b"), ("000001", "999999")])
def test_a_range_is_one(first: str, last: str) -> None:
    """Backwards, of two widths, no numbers, or endless: no book."""
    wrong = e.ReceiptBookHandedOut(
        book_no="B-1", campaign=OUT.campaign, village=OUT.village, agent_id="A-1", first=first, last=last
    )
    refused = d.hand_out(d.Book(), wrong)
    assert isinstance(refused, Refusal)
    assert refused.rule == "SERIAL_RANGE"


def test_the_unused_forms_come_back_and_all_are_accounted_for() -> None:
    """剩余票据移交: 3 issued, 1 void, 6 unused of 10."""
    [event] = d.return_unused(handed_out(), "B-1", [("000005", "000010")], USAGE)  # type: ignore[misc]
    assert isinstance(event, e.UnusedReceiptsReturned)
    assert (event.handed_out, event.issued, event.voided, event.unused) == (10, 3, 1, 6)
    [message] = ReceiptBookPublication().publish(SimpleNamespace(event=event))  # type: ignore[arg-type]
    assert isinstance(message, UnusedReceiptsReturnedV1)
    assert message.issued + message.voided + message.unused == message.handed_out
    assert message.ranges == (("000005", "000010"),)
    again = d.return_unused(d.evolve(handed_out(), event), "B-1", [("000005", "000010")], USAGE)
    assert isinstance(again, Refusal)
    assert again.rule == "BOOK_RETURNED"


@pytest.mark.parametrize(
    ("ranges", "code"),
    [
        ([("000005", "000009")], "RECEIPTS_MISSING"),
        ([("000004", "000010")], "RECEIPT_USED"),
        ([("000005", "000011")], "VALIDATION_FAILED"),
        ([("000005", "000010"), ("000010", "000010")], "VALIDATION_FAILED"),
    ],
)
def test_what_does_not_add_up_is_refused(ranges: list[tuple[str, str]], code: str) -> None:
    """A form that is missing, one that was used, one of another book, one told twice (I-19)."""
    refused = d.return_unused(handed_out(), "B-1", ranges, USAGE)
    assert isinstance(refused, Refusal)
    assert refused.code == code
    unknown = d.return_unused(d.Book(), "B-9", ranges, USAGE)
    assert isinstance(unknown, Refusal)
    assert unknown.rule == "BOOK_UNKNOWN"


def test_what_is_left_of_a_book() -> None:
    """Gaps stay gaps: a spoiled or refused form in the middle is a range of its own."""
    assert d.unused_ranges("000001", "000010", ["000001", "000003", "000004", "000009"]) == [
        ("000002", "000002"),
        ("000005", "000008"),
        ("000010", "000010"),
    ]
