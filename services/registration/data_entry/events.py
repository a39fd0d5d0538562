"""Events on stream ``enrolment:{insurance}:{person}`` that tell what was entered."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class EnrolmentEntered(Event, frozen=True, kw_only=True):
    """参保信息录入 of one payer leg, after payment and arrival (先缴费后录入, I-15).

    document_no: the payment document it stands in; deposit_no: the deposit its money came with, "" for a
    government leg that counts by its list (D-52); operator: STATION or VILLAGE (D-31); fen.
    """

    person_id: str
    insurance: Insurance
    year: int
    payer: str
    campaign: str
    village: str
    document_no: str
    deposit_no: str
    fen: int
    operator: str
    entered_on: dt.date


EVENTS: tuple[type[Event], ...] = (EnrolmentEntered,)
