"""The order (缴费订单) as a command: plain values below the rules that decide it."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.clock import SHANGHAI
from shared.kernel.insurance import Insurance

CASH = "CASH_AGENT"
"""The one channel whose money an agent holds until he deposits it; all others settle by day files (D-40)."""

Key = tuple[int, Insurance, str]
"""Year, insurance, person: an obligation."""


class OrderLine(msgspec.Struct, frozen=True):
    """One person, year and insurance of an order, fen."""

    person_id: str
    year: int
    insurance: Insurance
    fen: int

    @property
    def key(self) -> Key:
        return (self.year, self.insurance, self.person_id)


class Receipt(msgspec.Struct, frozen=True):
    """票据: book and serial number of a village receipt."""

    book_no: str
    serial_no: str


class Order(msgspec.Struct, frozen=True):
    """Command: record a payment of one or several lines (all or none).

    captured: the money is final. filed: it comes from the channel's day file, where lines of an order that
    is known already are matched rather than refused. divisions: where the caller may act.
    """

    order_no: str
    channel: str
    paid_at: dt.datetime
    lines: tuple[OrderLine, ...]
    agent_id: str = ""
    receipt: Receipt | None = None
    captured: bool = False
    filed: bool = False
    campaign: str = ""
    divisions: tuple[str, ...] = ("",)

    @property
    def payment_id(self) -> str:
        return f"{self.channel}-{self.order_no}"

    @property
    def paid_on(self) -> dt.date:
        """The payer's own pay day decides (D-51)."""
        at = self.paid_at
        return at.date() if at.tzinfo is SHANGHAI else at.astimezone(SHANGHAI).date()

    @property
    def fen(self) -> int:
        return sum(line.fen for line in self.lines)
