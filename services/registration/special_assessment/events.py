"""Events of special assessments, on the person's enrolment stream."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class SpecialPaymentAssessed(Event, frozen=True, kw_only=True):
    """特殊缴费核定 before the payment (I-31). kind LATE: 期外补缴 by the pack's late rule (D-21, D-48..D-50);
    NEWBORN 新生儿缴费; INTERRUPTION 中断补缴 and ARREARS 政策性补缴 of a pension's past year, at ``tier_yuan`` and
    without matching subsidy (I-26), on ``basis``.

    personal_fen: exactly what collection takes; fiscal_fen: the subsidy part in it. valid_to: last day on
    which it may be paid; entitled_*: the cover when paid on the day assessed.
    """

    assessment_no: str
    person_id: str
    kind: str
    insurance: Insurance
    year: int
    campaign: str
    personal_fen: int
    fiscal_fen: int
    entitled_from: dt.date
    entitled_to: dt.date
    valid_to: dt.date
    rule: str
    clause: str
    pack_id: str
    pack_digest: str
    tier_yuan: int | None = None
    basis: str = ""


EVENTS: tuple[type[Event], ...] = (SpecialPaymentAssessed,)
