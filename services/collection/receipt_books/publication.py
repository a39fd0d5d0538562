"""What receipt books tell the world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.receipt_books import events as e
from shared.contracts.collection import UnusedReceiptsReturnedV1
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class ReceiptBookPublication:
    """Books that came back, field for field."""

    name = "receipt-books"
    handles: tuple[type[Event], ...] = (e.UnusedReceiptsReturned,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        return [UnusedReceiptsReturnedV1(**msgspec.structs.asdict(recorded.event))]
