"""Events of medical cover, on ``cover:{year}:{person}`` beside the bookings."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event


class GovernmentLegsNoted(Event, frozen=True, kw_only=True):
    """代缴部分: what government carries of the medical standard, as subsidy resolved it; 0 once revoked.

    A later version replaces an earlier one. Whether it counts as paid is the pack's ``gov_paid_effective``.
    """

    person_id: str
    year: int
    campaign: str
    version: int
    government_fen: int
    standard_fen: int


class MedicalEntitlementGranted(Event, frozen=True, kw_only=True):
    """医保待遇生效 (I-25): all legs of the standard are there."""

    person_id: str
    year: int
    campaign: str
    village: str
    from_date: dt.date
    to_date: dt.date
    rule: str
    clause: str


class MedicalEntitlementChanged(Event, frozen=True, kw_only=True):
    """医保待遇变更: other days than before. reason: DEATH or CORRECTION."""

    person_id: str
    year: int
    from_date: dt.date
    to_date: dt.date
    reason: str


class MedicalEntitlementWithdrawn(Event, frozen=True, kw_only=True):
    """医保待遇取消. reason: DIED_BEFORE_PERIOD or NOT_PAID (refunded, subsidy revoked)."""

    person_id: str
    year: int
    reason: str


class MedicalEntitlementUndetermined(Event, frozen=True, kw_only=True):
    """医保待遇待定: paid in full, but the pack refuses to say from when; a clerk looks into it."""

    person_id: str
    year: int
    campaign: str
    village: str
    code: str
    rule: str
    clause: str


EVENTS: tuple[type[Event], ...] = (
    GovernmentLegsNoted,
    MedicalEntitlementGranted,
    MedicalEntitlementChanged,
    MedicalEntitlementWithdrawn,
    MedicalEntitlementUndetermined,
)
