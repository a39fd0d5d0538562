"""Routes of receipt books."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.collection.receipt_books import events as e
from services.collection.receipt_books.domain import unused_ranges
from services.collection.receipt_books.handlers import Books
from services.collection.receipt_books.projection import receipt_book
from shared.eventstore.database import Connection, Database, Row
from shared.kernel.errors import ProblemError, Refusal
from shared.security.principal import Principal
from shared.web.auth import authorised, require_division
from shared.web.idempotency import required_key
from shared.web.paging import DEFAULT_LIMIT, After, Limit, inside, keyset, paged
from shared.web.requests import metadata
from shared.web.responses import answer, json_response

Reader = Annotated[Principal, Depends(authorised("collection:receipt_books:read"))]
Writer = Annotated[Principal, Depends(authorised("collection:receipt_books:write"))]
Serial = Annotated[str, Field(pattern=r"^\d{1,12}$", examples=["000001"])]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BookBody(_Body):
    """票据领用 / a book of receipts for an agent."""

    book_no: str = Field(min_length=1, max_length=64, examples=["B-370406101201-1"])
    campaign: str = Field(pattern=r"^\d{6}(\d{3})?-\d{4}$", examples=["370406101-2018"])
    village: str = Field(pattern=r"^\d{12}$", examples=["370406101201"])
    agent: str = Field(min_length=1, max_length=64)
    first: Serial
    last: Serial


class RangeBody(_Body):
    """票据号段 / a range of forms, both ends included."""

    first: Serial
    last: Serial


class UnusedBody(_Body):
    """剩余票据 / what was not used."""

    ranges: list[RangeBody] = Field(default_factory=list, max_length=5000)


def _item(row: Row) -> dict[str, Any]:
    return dict(row._mapping)


FormsOf = Callable[[Connection, str], Awaitable[Sequence[tuple[str, str]]]]
"""(serial, status) of the forms of a book that payments know: ISSUED or VOIDED."""


def router(books: Books, database: Database, forms_of: FormsOf) -> APIRouter:
    """Routes under ``/receipt-books``."""
    routes = APIRouter(tags=["票据 receipt books"])

    @routes.post("/receipt-books", status_code=201, summary="票据领用 / hand out a book of receipts")
    async def hand_out(request: Request, principal: Writer, body: BookBody) -> Response:
        require_division(principal, body.village, "village")
        key = required_key(request, principal, "hand_out_receipts", body)
        event = e.ReceiptBookHandedOut(
            book_no=body.book_no,
            campaign=body.campaign,
            village=body.village,
            agent_id=body.agent,
            first=body.first,
            last=body.last,
        )
        return answer(await books.hand_out(event, metadata(request, principal, body.campaign), key))

    @routes.post(
        "/receipt-books/{book_no}:return", status_code=201, summary="剩余票据移交 / hand unused receipts back"
    )
    async def return_unused(book_no: str, request: Request, principal: Writer, body: UnusedBody) -> Response:
        key = required_key(request, principal, f"return_unused_receipts {book_no}", body)
        ranges = [(each.first, each.last) for each in body.ranges]
        told = metadata(request, principal)
        return answer(await books.return_unused(book_no, ranges, principal.divisions, told, key))

    @routes.get("/receipt-books/{book_no}/unused", summary="剩余票据 / forms of a book that are left")
    async def unused(book_no: str, principal: Reader) -> Response:
        async with database.read() as connection:
            statement = sa.select(receipt_book).where(receipt_book.c.book_no == book_no)
            rows = await connection.execute(statement)
            if not rows:
                raise ProblemError(Refusal("NOT_FOUND", rule="BOOK_UNKNOWN", field="book_no"))
            require_division(principal, rows[0].village, "book_no")
            used = [serial for serial, _ in await forms_of(connection, book_no)]
        left = unused_ranges(rows[0].first, rows[0].last, used)
        return json_response({"book_no": book_no, "ranges": [{"first": a, "last": b} for a, b in left]})

    @routes.get("/receipt-books", summary="票据领用情况 / books handed out, and what came back")
    async def list_books(
        principal: Reader,
        campaign: Annotated[str, Query(max_length=16)] = "",
        village: Annotated[str, Query(max_length=12)] = "",
        after: After = "",
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response:
        c = receipt_book.c
        wanted = {c.campaign: campaign, c.village: village}
        statement = sa.select(receipt_book).where(
            inside(c.village, principal.divisions),
            *(column == value for column, value in wanted.items() if value),
        )
        async with database.read() as connection:
            rows = await connection.execute(keyset(statement, [c.book_no], after, limit))
        return json_response(paged(rows, limit, _item, lambda row: [row.book_no]))

    return routes
