"""Events of stream ``enrolment:{insurance}:{person}``; every year's enrolment is told apart by ``year``."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from shared.kernel.events import Event
from shared.kernel.identity import Sex
from shared.kernel.insurance import Insurance


class Route(StrEnum):
    """参保途径: by household registration, residence permit, as a student, as a newborn."""

    HUKOU = "HUKOU"
    PERMIT = "PERMIT"
    STUDENT = "STUDENT"
    NEWBORN = "NEWBORN"


class EnrolmentRegistered(Event, frozen=True, kw_only=True):
    """参保登记 (I-04, I-05). record_no: ``{insurance}-{year}-{person_id}``; period: 起止缴费年月."""

    record_no: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    division: str
    route: Route
    period_from: dt.date
    period_to: dt.date
    pack_id: str
    pack_digest: str


class EnrolmentRejected(Event, frozen=True, kw_only=True):
    """不予登记: the rule and its clause (I-04, I-05)."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    division: str
    rule: str
    clause: str = ""


class EnrolmentChanged(Event, frozen=True, kw_only=True):
    """变更登记: particulars the other side relies on changed; a new version is transmitted."""

    record_no: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    reason: str


class EnrolmentCancelled(Event, frozen=True, kw_only=True):
    """注销登记."""

    record_no: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    reason: str


class EnrolmentTerminatedForRefund(Event, frozen=True, kw_only=True):
    """终止参保: a refund was paid and no effective payment remains (I-28)."""

    record_no: str
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    refund_no: str


class CoverageConflictFound(Event, frozen=True, kw_only=True):
    """重复参保: employee cover learned of after the enrolment overlaps it (I-05); a clerk decides."""

    record_no: str
    person_id: str
    insurance: Insurance
    year: int
    division: str


class RegistrationInfoTransmitted(Event, frozen=True, kw_only=True):
    """参保登记信息传递: all collection needs; a later version replaces an earlier one.

    status: ACTIVE or CANCELLED.
    """

    record_no: str
    record_version: int
    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    status: str
    route: Route
    period_from: dt.date
    period_to: dt.date
    birth: dt.date
    sex: Sex
    division: str
    hukou_division: str
    residence_permit: bool
    student: bool
    household: str


class RegistrationInfoRejected(Event, frozen=True, kw_only=True):
    """退回: collection did not take the version; a clerk looks into it.

    Acceptance and linking (接收、关联) need no decision here: read models follow collection's messages.
    """

    record_no: str
    record_version: int
    person_id: str
    insurance: Insurance
    year: int
    division: str
    error: str


class CollectingUnitInfoTransmitted(Event, frozen=True, kw_only=True):
    """委托代收单位信息传递 (002:L262), on ``process:collecting-unit:{unit}``."""

    unit_id: str
    name: str
    village: str


EVENTS: tuple[type[Event], ...] = (
    EnrolmentRegistered,
    EnrolmentRejected,
    EnrolmentChanged,
    EnrolmentCancelled,
    EnrolmentTerminatedForRefund,
    CoverageConflictFound,
    RegistrationInfoTransmitted,
    RegistrationInfoRejected,
    CollectingUnitInfoTransmitted,
)
