"""Commands on receipt books."""

from __future__ import annotations

from collections.abc import Sequence

from services.collection.receipt_books import domain as d
from services.collection.receipt_books import events as e
from services.collection.receipt_books.stream import book_stream
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    FactSource,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal


class Books:
    """Hands out and takes back. usage: book number -> Usage, from payments."""

    def __init__(self, store: Store, usage: FactSource) -> None:
        self._store = store
        self._usage = usage

    async def hand_out(
        self, event: e.ReceiptBookHandedOut, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """票据领用."""
        stream = book_stream(event.book_no)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = d.hand_out(loaded.state(stream), event)
            if isinstance(events, Refusal):
                return events
            appends = [Append(stream, events)] if events else []
            return Accepted(appends, response={"book_no": event.book_no}, status=201 if events else 200)

        return await self._store.execute(Command("hand_out_receipts", [stream], decide, metadata, key))

    async def return_unused(
        self,
        book_no: str,
        ranges: Sequence[d.Range],
        divisions: Sequence[str],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """剩余票据移交."""
        stream = book_stream(book_no)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            state = loaded.state(stream)
            village = state.handed_out.village if state.handed_out is not None else ""
            if village and not any(village.startswith(scope) for scope in divisions):
                return Refusal("DIVISION_FORBIDDEN", field="book_no")
            usage: d.Usage = loaded.fact(self._usage, book_no) or d.Usage()
            events = d.return_unused(state, book_no, ranges, usage)
            if isinstance(events, Refusal):
                return events
            return Accepted([Append(stream, events)], response={"book_no": book_no, "status": "RETURNED"})

        facts = [(self._usage, [book_no])]
        return await self._store.execute(
            Command("return_unused_receipts", [stream], decide, metadata, key, facts)
        )
