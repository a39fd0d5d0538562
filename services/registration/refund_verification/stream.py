"""Where refund verifications live."""

from __future__ import annotations

from services.registration.refund_verification.domain import Verification, evolve
from shared.eventstore.streams import Category, Stream

VERIFICATION = Category("process", Verification(), evolve)


def verification(refund_no: str) -> Stream[Verification]:
    """``process:refund-verification:{refund_no}``."""
    return VERIFICATION.stream("refund-verification", refund_no)
