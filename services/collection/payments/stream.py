"""Where receipts and unidentified money live."""

from __future__ import annotations

from services.collection.payments.domain import ReceiptState, Suspense, evolve_receipt, evolve_suspense
from shared.eventstore.streams import Category, Stream

RECEIPT = Category("receipt", ReceiptState(), evolve_receipt)
SUSPENSE = Category("suspense", Suspense(), evolve_suspense)


def receipt_stream(book_no: str, serial_no: str) -> Stream[ReceiptState]:
    """``receipt:{book_no}:{serial_no}``: perennial, a serial is used once for ever (I-19)."""
    return RECEIPT.stream(book_no, serial_no)


def suspense_stream(channel: str, order_no: str) -> Stream[Suspense]:
    """``suspense:{channel}:{order_no}``."""
    return SUSPENSE.stream(channel, order_no)
