"""Where receipt books live."""

from __future__ import annotations

from services.collection.receipt_books.domain import Book, evolve
from shared.eventstore.streams import Category, Stream

BOOKS = Category("receipt-book", Book(), evolve)


def book_stream(book_no: str) -> Stream[Book]:
    """``receipt-book:{book_no}``: perennial, as its forms are."""
    return BOOKS.stream(book_no)
