"""Where refunds live."""

from __future__ import annotations

from services.collection.refunds.domain import Refund, evolve
from shared.eventstore.streams import Category, Stream

REFUND = Category("refund", Refund(), evolve)


def refund_stream(refund_no: str) -> Stream[Refund]:
    """``refund:{refund_no}``."""
    return REFUND.stream(refund_no)
