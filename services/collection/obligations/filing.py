"""What settlement and payments tell one another about a channel's day file: plain values below both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import msgspec

from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance


class FiledOrderLine(msgspec.Struct, frozen=True):
    """A line of a channel's day file."""

    order_no: str
    person_id: str
    insurance: Insurance
    year: int
    amount_fen: int
    paid_at: dt.datetime


class PlacedOrderLine(msgspec.Struct, frozen=True):
    """Where payments put, or had, a line of a file; fen is what is recorded."""

    line_id: str
    insurance: Insurance
    fen: int
    standing: str


class OrdersPlaced(Protocol):
    """Payments' side of a day file: matches known orders and records the others as final money."""

    async def place(
        self, channel: str, campaign: str, file: str, lines: Sequence[FiledOrderLine], metadata: Metadata
    ) -> list[PlacedOrderLine] | Refusal:
        """One answer per line, in order. ``file``: what tells this file's commands from others."""
        ...
