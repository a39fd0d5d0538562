"""Events of stream ``taxpayer:{person}``: collected, accepted, linked, and the household link."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class NaturalPersonCollected(Event, frozen=True, kw_only=True):
    """自然人信息采集: once per person. division codes, never names or numbers."""

    person_id: str
    taxpayer_no: str
    birth: dt.date
    sex: str


class RegistrationInfoAccepted(Event, frozen=True, kw_only=True):
    """接收: the newest live version of one registration record. village: who collects (12 digits)."""

    person_id: str
    record_no: str
    record_version: int
    insurance: Insurance
    year: int
    status: str
    birth: dt.date
    sex: str
    village: str
    hukou_division: str
    residence_permit: bool
    student: bool
    household: str
    period_from: dt.date
    period_to: dt.date


class RegistrationInfoRejected(Event, frozen=True, kw_only=True):
    """退回. error: NO_CAMPAIGN, PERIOD_INVALID, VERSION_STALE or DIVISION_INVALID."""

    person_id: str
    record_no: str
    record_version: int
    insurance: Insurance
    year: int
    error: str


class RegistrationLinked(Event, frozen=True, kw_only=True):
    """参保登记信息关联: the person owes an assessment for this insurance and year in ``campaign``.

    campaign_open False: no open campaign was known yet, so it could not be assessed with the link.
    """

    person_id: str
    taxpayer_no: str
    record_no: str
    record_version: int
    insurance: Insurance
    year: int
    campaign: str
    village: str
    campaign_open: bool = True


class RegistrationLinkFailed(Event, frozen=True, kw_only=True):
    """关联失败. reason: OTHER_RECORD_LIVE (another record of the same insurance and year is linked)."""

    person_id: str
    record_no: str
    insurance: Insurance
    year: int
    reason: str
    record_version: int = 0


class RegistrationUnlinked(Event, frozen=True, kw_only=True):
    """解除关联: registration cancelled the enrolment, or it moved to another campaign."""

    person_id: str
    record_no: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    reason: str


class OtherCoverNoted(Event, frozen=True, kw_only=True):
    """职工保险、统筹区外参保收悉 (I-05, 004:L80-82): who is covered elsewhere is not charged here.

    kind: EMPLOYEE or ELSEWHERE; to_date None while it lasts.
    """

    person_id: str
    insurance: Insurance
    kind: str
    from_date: dt.date
    to_date: dt.date | None = None


class SpecialIdentityNoted(Event, frozen=True, kw_only=True):
    """特殊群体身份收悉 (I-06): decides who may choose the lowest pension tier (001:L52, 004:L92); pays for nobody.

    ended: the department took it back.
    """

    person_id: str
    insurance: Insurance
    year: int
    category: str
    source_department: str
    ended: bool = False


class PayerLinkedToVirtualHousehold(Event, frozen=True, kw_only=True):
    """人员与虚拟户关联: at most one live link per person, insurance and year."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    virtual_household_id: str


class PayerUnlinkedFromVirtualHousehold(Event, frozen=True, kw_only=True):
    """解除人员与虚拟户关联. reason: CANCELLED, MOVED or RELINKED."""

    person_id: str
    insurance: Insurance
    year: int
    campaign: str
    virtual_household_id: str
    reason: str
