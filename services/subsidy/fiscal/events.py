"""Events of streams ``family-planning:{year}:{wife}`` and ``fiscal-subsidy:{campaign}:{kind}``."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event


class FamilyPlanningCoupleRecorded(Event, frozen=True, kw_only=True):
    """计生家庭 (D-15, D-57): the department that supplies couples names both spouses; husband_id "" for none.

    kind: as the plan names it, e.g. one-child. basis: the department's own paper.
    """

    campaign: str
    year: int
    kind: str
    wife_id: str
    husband_id: str
    department: str
    basis: str


class FiscalSubsidyClaimed(Event, frozen=True, kw_only=True):
    """财政补助申请 (D-45): heads and fen restated as a whole, from booked heads only."""

    kind: str
    campaign: str
    year: int
    heads: int
    fen: int
    as_of: dt.date


class FiscalSubsidyAppropriated(Event, frozen=True, kw_only=True):
    """财政补助拨付: never more than is claimed."""

    kind: str
    campaign: str
    year: int
    fen: int
    on: dt.date


class FiscalSubsidyArrived(Event, frozen=True, kw_only=True):
    """财政补助到账: never more than was appropriated; bank_ref names the bank's slip."""

    kind: str
    campaign: str
    year: int
    fen: int
    on: dt.date
    bank_ref: str


EVENTS: tuple[type[Event], ...] = (
    FamilyPlanningCoupleRecorded,
    FiscalSubsidyClaimed,
    FiscalSubsidyAppropriated,
    FiscalSubsidyArrived,
)
