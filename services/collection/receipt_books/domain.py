"""Handing books of receipts out and back (票据领用、移交). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.collection.receipt_books import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event

FORMS_AT_MOST = 20_000

Range = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Book:
    """State of ``receipt-book:{book_no}``."""

    handed_out: e.ReceiptBookHandedOut | None = None
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Serials of a book that were issued and voided, as payments know them."""

    issued: frozenset[str] = frozenset()
    voided: frozenset[str] = frozenset()


def evolve(state: Book, event: Event) -> Book:
    """Fold one event."""
    match event:
        case e.ReceiptBookHandedOut():
            return Book(event)
        case e.UnusedReceiptsReturned():
            return Book(state.handed_out, True)
        case _:
            return state


def serials(first: str, last: str) -> list[str] | None:
    """All serials of a range in order; None when it is none (other widths, backwards, too long)."""
    if len(first) != len(last) or not (first.isdigit() and last.isdigit()):
        return None
    low, high = int(first), int(last)
    if not 0 <= high - low < FORMS_AT_MOST:
        return None
    return [f"{number:0{len(first)}d}" for number in range(low, high + 1)]


def hand_out(state: Book, event: e.ReceiptBookHandedOut) -> Decision:
    """领用: a book goes to one agent, once."""
    if serials(event.first, event.last) is None:
        return Refusal("VALIDATION_FAILED", rule="SERIAL_RANGE", field="last")
    if state.handed_out is not None:
        same = state.handed_out == event
        return [] if same else Refusal("ALREADY_EXISTS", rule="BOOK_HANDED_OUT", field="book_no")
    return [event]


def return_unused(state: Book, book_no: str, ranges: Sequence[Range], usage: Usage) -> Decision:
    """移交剩余票据: exactly the forms that are neither issued nor void; a missing form is named as a number."""
    book = state.handed_out
    if book is None:
        return Refusal("NOT_FOUND", rule="BOOK_UNKNOWN", field="book_no")
    if state.returned:
        return Refusal("INVALID_STATE", rule="BOOK_RETURNED", field="book_no")
    handed_out = serials(book.first, book.last) or []
    used = usage.issued | usage.voided
    back: set[str] = set()
    for first, last in ranges:
        some = serials(first, last)
        if some is None or back.intersection(some) or not set(some) <= set(handed_out):
            return Refusal("VALIDATION_FAILED", rule="SERIAL_RANGE", field="ranges")
        back.update(some)
    if back & used:
        return Refusal(
            "RECEIPT_USED", rule="I-19", clause="I-19", field="ranges",
            message="退回的票据已使用 / a returned form was used",
        )  # fmt: skip
    missing = [serial for serial in handed_out if serial not in used and serial not in back]
    if missing:
        return Refusal(
            "RECEIPTS_MISSING", rule="I-19", clause="I-19", field="ranges",
            message=f"尚有{len(missing)}份票据未移交 / {len(missing)} forms are missing",
        )  # fmt: skip
    return [
        e.UnusedReceiptsReturned(
            book_no=book_no,
            campaign=book.campaign,
            village=book.village,
            agent_id=book.agent_id,
            ranges=tuple(ranges),
            handed_out=len(handed_out),
            issued=len(usage.issued.intersection(handed_out)),
            voided=len(usage.voided.intersection(handed_out)),
            unused=len(back),
        )
    ]


def unused_ranges(first: str, last: str, used: Iterable[str]) -> list[Range]:
    """The forms left of a book, as ranges."""
    taken = set(used)
    found: list[Range] = []
    for serial in serials(first, last) or []:
        if serial in taken:
            continue
        if found and int(found[-1][1]) + 1 == int(serial):
            found[-1] = (found[-1][0], serial)
        else:
            found.append((serial, serial))
    return found
