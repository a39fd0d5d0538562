"""Events of streams ``receipt:{book}:{serial}`` and ``suspense:{channel}:{order_no}``.

What happens on an obligation is in ``services.collection.obligations.events``.
"""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class ReceiptIssued(Event, frozen=True, kw_only=True):
    """专用收据开具 (I-19): one per order of an agent's; fen is the order's total."""

    book_no: str
    serial_no: str
    payment_id: str
    order_no: str
    agent_id: str
    campaign: str
    village: str
    fen: int
    lines: int
    issued_at: dt.datetime


class ReceiptVoided(Event, frozen=True, kw_only=True):
    """专用收据作废: a spoiled form, never one that was issued."""

    book_no: str
    serial_no: str
    agent_id: str
    reason: str


class ReceiptReuseDetected(Event, frozen=True, kw_only=True):
    """收据重号: final money came with a serial that is used or void already; the money is kept (I-19)."""

    book_no: str
    serial_no: str
    payment_id: str
    agent_id: str
    fen: int


class UnidentifiedMoneyRecorded(Event, frozen=True, kw_only=True):
    """待查款项: final money nobody's obligation fits (UNIDENTIFIED). campaign and village as far as known.

    reason: NOT_ASSESSED, or ORDER_MISMATCH when the channel's file names lines its order never had.
    """

    channel: str
    order_no: str
    payment_id: str
    line_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    fen: int
    paid_at: dt.datetime
    agent_id: str = ""
    reason: str


class UnidentifiedMoneyIdentified(Event, frozen=True, kw_only=True):
    """待查款项查明: the line went to a person's obligation, under its own line id; standing says as what."""

    channel: str
    order_no: str
    line_id: str
    person_id: str
    insurance: Insurance
    year: int
    fen: int
    standing: str
