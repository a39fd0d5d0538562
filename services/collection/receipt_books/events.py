"""Events of stream ``receipt-book:{book_no}``."""

from __future__ import annotations

from shared.kernel.events import Event


class ReceiptBookHandedOut(Event, frozen=True, kw_only=True):
    """票据领用: forms ``first`` to ``last`` of a book, both included, go to an agent."""

    book_no: str
    campaign: str
    village: str
    agent_id: str
    first: str
    last: str


class UnusedReceiptsReturned(Event, frozen=True, kw_only=True):
    """剩余票据移交 (000:L206-210, I-19): ranges of serials, both ends included; all forms are accounted for."""

    book_no: str
    campaign: str
    village: str
    agent_id: str
    ranges: tuple[tuple[str, str], ...]
    handed_out: int
    issued: int
    voided: int
    unused: int
