"""Payments' side of a channel's day file (obligations.filing.OrdersPlaced)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.collection.obligations.filing import FiledOrderLine, PlacedOrderLine
from services.collection.payments.handlers import Payments
from services.collection.payments.orders import Order, OrderLine
from shared.eventstore.streams import Metadata
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance


class _Line(msgspec.Struct, frozen=True):
    line_id: str
    village: str
    insurance: Insurance
    amount_fen: int
    standing: str


class _Answer(msgspec.Struct, frozen=True):
    lines: list[_Line]


class DayFileOrders:
    """Groups a file's lines into their orders and has them matched or recorded."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def place(
        self, channel: str, campaign: str, file: str, lines: Sequence[FiledOrderLine], metadata: Metadata
    ) -> list[PlacedOrderLine] | Refusal:
        """See OrdersPlaced. A refusal (no campaign, another pack) leaves the file to be sent again."""
        members: dict[str, list[int]] = {}
        for index, line in enumerate(lines):
            members.setdefault(line.order_no, []).append(index)
        orders = [
            Order(
                order_no=order_no,
                channel=channel,
                paid_at=lines[indexes[0]].paid_at.astimezone(SHANGHAI),
                lines=tuple(
                    OrderLine(lines[i].person_id, lines[i].year, lines[i].insurance, lines[i].amount_fen)
                    for i in indexes
                ),
                captured=True,
                filed=True,
                campaign=campaign,
            )
            for order_no, indexes in members.items()
        ]
        placed: list[PlacedOrderLine | None] = [None] * len(lines)
        outcomes = await self._payments.file_orders(orders, metadata, f"{channel}/{file}")
        for order, outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                return outcome
            answer = msgspec.json.decode(outcome.response, type=_Answer)
            for index, there in zip(members[order.order_no], answer.lines, strict=True):
                placed[index] = PlacedOrderLine(
                    there.line_id, there.village, there.insurance, there.amount_fen, there.standing
                )
        return [line for line in placed if line is not None]
