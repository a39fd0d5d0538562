"""Where refund verifications live."""

from __future__ import annotations

from shared.eventstore.streams import Category, Stream
from shared.kernel.events import Event


def _evolve(state: None, event: Event) -> None:
    return state


VERIFICATION: Category[None] = Category("process", None, _evolve)


def verification(refund_no: str) -> Stream[None]:
    """``process:refund-verification:{refund_no}``: answers in order, no state to decide from."""
    return VERIFICATION.stream("refund-verification", refund_no)
