"""Events of imported subsidy lists, on the person's enrolment stream; failures on a process of their own."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class SubsidyBeneficiaryImported(Event, frozen=True, kw_only=True):
    """资助名单行导入成功."""

    person_id: str
    list_id: str
    line_no: int
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    birth: dt.date
    division: str


class SpecialIdentityMarked(Event, frozen=True, kw_only=True):
    """特殊群体身份标识: always with its source department and validity (I-06)."""

    person_id: str
    insurance: Insurance
    year: int
    category: str
    source_department: str
    valid_from: dt.date
    valid_to: dt.date


class SpecialIdentityRemoved(Event, frozen=True, kw_only=True):
    """特殊群体身份取消: from a day on; what was true before stays."""

    person_id: str
    insurance: Insurance
    year: int
    category: str
    source_department: str
    from_date: dt.date


class SubsidyImportFailed(Event, frozen=True, kw_only=True):
    """资助名单行导入失败, on ``process:subsidy-import:{list}:{line}``.

    error: NOT_ENROLLED, DEAD, EMPLOYEE, DUPLICATE, OTHER_REGION.
    """

    person_id: str
    list_id: str
    line_no: int
    category: str
    insurance: Insurance
    year: int
    campaign: str
    error: str


EVENTS: tuple[type[Event], ...] = (
    SubsidyBeneficiaryImported,
    SpecialIdentityMarked,
    SpecialIdentityRemoved,
    SubsidyImportFailed,
)
