"""Events of streams ``payment-history:{year}:{person}`` and ``payment-history:{year}:{village}``."""

from __future__ import annotations

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class HistoryLine(msgspec.Struct, frozen=True):
    """One person's paid insurance; fen paid by everybody together, 0 when it is not known."""

    person_id: str
    insurance: Insurance
    paid_fen: int


class PaymentHistoryRecorded(Event, frozen=True, kw_only=True):
    """缴费历史收悉 (D-12): who had paid in a village for an insured year, before this system collected there.

    At most 500 lines. source: where the file comes from, e.g. 金三.
    """

    year: int
    village: str
    source: str
    lines: tuple[HistoryLine, ...]
