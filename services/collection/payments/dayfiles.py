"""Payments' side of a channel's day file (obligations.filing.OrdersPlaced)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.collection.obligations.filing import FiledOrderLine, PlacedOrderLine
from services.collection.payments.handlers import Payments
from services.collection.payments.orders import Order, OrderLine
from services.collection.payments.queries import lines_of_payments
from shared.eventstore.database import Database, Row
from shared.eventstore.streams import Metadata
from shared.kernel.clock import SHANGHAI
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance


class _Line(msgspec.Struct, frozen=True):
    line_id: str
    insurance: Insurance
    amount_fen: int
    standing: str


class _Answer(msgspec.Struct, frozen=True):
    lines: list[_Line]


_answers = msgspec.json.Decoder(_Answer)


class DayFileOrders:
    """Groups a file's lines into their orders and has them matched or recorded.

    Orders the read model has line for line need no command; only the others are decided on their streams.
    """

    def __init__(self, payments: Payments, database: Database) -> None:
        self._payments = payments
        self._database = database

    async def place(
        self, channel: str, campaign: str, file: str, lines: Sequence[FiledOrderLine], metadata: Metadata
    ) -> list[PlacedOrderLine] | Refusal:
        """See OrdersPlaced. A refusal (no campaign, another pack) leaves the file to be sent again."""
        members: dict[str, list[int]] = {}
        for index, line in enumerate(lines):
            members.setdefault(line.order_no, []).append(index)
        placed = await self._known(channel, lines, members)
        left = {order_no: indexes for order_no, indexes in members.items() if indexes[0] not in placed}
        orders = [_order(channel, campaign, order_no, lines, indexes) for order_no, indexes in left.items()]
        outcomes = await self._payments.file_orders(orders, metadata, f"{channel}/{file}") if orders else []
        for order, outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                return outcome
            for index, there in zip(
                left[order.order_no], _answers.decode(outcome.response).lines, strict=True
            ):
                placed[index] = PlacedOrderLine(
                    there.line_id, there.insurance, there.amount_fen, there.standing
                )
        return [placed[index] for index in range(len(lines))]

    async def _known(
        self, channel: str, lines: Sequence[FiledOrderLine], members: dict[str, list[int]]
    ) -> dict[int, PlacedOrderLine]:
        """Lines of the orders that are recorded exactly as filed, by index; amounts may differ."""
        numbers = {f"{channel}-{order_no}": order_no for order_no in members}
        async with self._database.read() as connection:
            rows = await lines_of_payments(connection, list(numbers))
        found: dict[str, dict[tuple[str, str, int], Row]] = {}
        twice: set[str] = set()
        for row in rows:
            order_no = numbers[row.payment_id]
            mine = found.setdefault(order_no, {})
            key = (row.person_id, row.insurance, row.year)
            if key in mine or not row.person_id:
                twice.add(order_no)
            mine[key] = row
        placed: dict[int, PlacedOrderLine] = {}
        for order_no, mine in found.items():
            indexes = members[order_no]
            keys = [(lines[i].person_id, lines[i].insurance.value, lines[i].year) for i in indexes]
            if order_no in twice or len(set(keys)) != len(keys) or not all(key in mine for key in keys):
                continue
            for index, key in zip(indexes, keys, strict=True):
                row = mine[key]
                placed[index] = PlacedOrderLine(row.line_id, Insurance(row.insurance), row.fen, row.standing)
        return placed


def _order(
    channel: str, campaign: str, order_no: str, lines: Sequence[FiledOrderLine], indexes: Sequence[int]
) -> Order:
    return Order(
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
