"""Events of stream ``list:{id}``: a header and line events of at most 500 lines."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class ListLine(msgspec.Struct, frozen=True):
    """A line as this service understood it. error: ID_INVALID, NOT_ENROLLED or DUPLICATE, else empty."""

    line_no: int
    person_id: str
    valid_from: dt.date
    error: str = ""


class SubsidyListSubmitted(Event, frozen=True, kw_only=True):
    """资助名单报送. stamped_total: 应参保总人数 (I-10). late: after the pack's date for lists."""

    list_id: str
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    stamped_total: int
    unmatched: int
    legal_basis: str
    late: bool
    resubmits: str = ""


class SubsidyListLinesRecorded(Event, frozen=True, kw_only=True):
    """资助名单明细. resubmits: the list whose failed lines of the same numbers come back corrected."""

    list_id: str
    part: int
    parts: int
    lines: tuple[ListLine, ...]
    resubmits: str = ""


class SubsidyListVerified(Event, frozen=True, kw_only=True):
    """核实盖章确认: count = lines (I-10)."""

    list_id: str
    department: str
    stamp: str
    count: int
    verified_by: str


class SubsidyLinesReleased(Event, frozen=True, kw_only=True):
    """名单行转医保导入: the matched lines of a verified list go to registration."""

    list_id: str
    department: str
    category: str
    insurance: Insurance
    year: int
    campaign: str
    lines: tuple[ListLine, ...]


EVENTS: tuple[type[Event], ...] = (
    SubsidyListSubmitted,
    SubsidyListLinesRecorded,
    SubsidyListVerified,
    SubsidyLinesReleased,
)
