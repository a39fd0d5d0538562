"""Receipt books, wired."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

from services.collection.receipt_books.api import FormsOf, router
from services.collection.receipt_books.domain import Usage
from services.collection.receipt_books.handlers import Books
from services.collection.receipt_books.projection import ReceiptBooks
from services.collection.receipt_books.publication import ReceiptBookPublication
from shared.eventstore.database import Connection
from shared.web.capability import Capability
from shared.web.service import Ports


class UsageFacts:
    """Key book number -> Usage."""

    name = "receipt-usage"

    def __init__(self, forms_of: FormsOf) -> None:
        self._forms_of = forms_of

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        found: dict[Any, Usage] = {}
        for key in keys:
            forms = await self._forms_of(connection, cast("str", key))
            issued = frozenset(serial for serial, status in forms if status == "ISSUED")
            found[key] = Usage(issued, frozenset(serial for serial, _ in forms) - issued)
        return found


def capability(ports: Ports, forms_of: FormsOf) -> Capability:
    """Receipt books over the service's ports and payments' receipts."""
    books = Books(ports.store, UsageFacts(forms_of))
    return Capability(
        projections=[ReceiptBooks()],
        publications=[ReceiptBookPublication()],
        routers=[router(books, ports.database, forms_of)],
    )
