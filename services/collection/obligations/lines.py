"""The common part of every event that tells of a line of money taken."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class PaymentLine(Event, frozen=True, kw_only=True):
    """What every line of money taken says, whatever it turned out to be.

    line_id: ``{payment_id}/{n}``; fen: what was taken; receipt_serial: set for CASH_AGENT only (I-19).
    """

    payment_id: str
    line_id: str
    order_no: str
    channel: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    fen: int
    paid_at: dt.datetime
    agent_id: str = ""
    receipt_serial: str = ""
