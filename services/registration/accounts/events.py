"""Events of bookkeeping: streams ``cover:{year}:{person}``, ``account:{person}``, ``process:return:{no}``."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class BookkeepingPosted(Event, frozen=True, kw_only=True):
    """记账处理: one payer leg booked, only after treasury (I-15, I-24). paid_on: the payer's own day (D-51)."""

    person_id: str
    return_no: str
    line_no: int
    voucher_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    payer: str
    fen: int
    standard_fen: int
    paid_on: dt.date
    booked_on: dt.date
    payment_line_id: str = ""
    tier_yuan: int | None = None
    special_assessment_no: str = ""


class BookkeepingMismatchDetected(Event, frozen=True, kw_only=True):
    """比对不一致: the line is not booked and stays named until a clerk closes it (I-24).

    field: person, enrolment, pack, duplicate, amount, standard, tier or assessment.
    """

    person_id: str
    return_no: str
    line_no: int
    campaign: str
    village: str
    insurance: Insurance
    year: int
    field: str
    ours_fen: int = 0
    theirs_fen: int = 0


class BookkeepingReversed(Event, frozen=True, kw_only=True):
    """冲账: the booked payment was refunded (I-28)."""

    person_id: str
    refund_no: str
    campaign: str
    village: str
    insurance: Insurance
    year: int
    payer: str
    fen: int
    payment_line_id: str
    reversed_on: dt.date


class PensionAccountCredited(Event, frozen=True, kw_only=True):
    """个人账户记账（个人缴费）: interest from the first of the next month."""

    person_id: str
    year: int
    village: str
    fen: int
    credited_on: dt.date
    interest_from: dt.date
    return_no: str
    payer: str


class GovernmentMatchingCredited(Event, frozen=True, kw_only=True):
    """政府补贴记账: the pack's table for the tier, once per person and year (I-26)."""

    person_id: str
    year: int
    village: str
    fen: int
    credited_on: dt.date
    rule: str
    clause: str


class FamilyPlanningSpouseNoted(Event, frozen=True, kw_only=True):
    """计生家庭收悉 (D-15, D-57): a spouse whose wife's age gives the subsidy this year; credited with the payment."""

    person_id: str
    year: int
    campaign: str
    kind: str
    fen: int
    rule: str
    clause: str


class FamilyPlanningSubsidyCredited(Event, frozen=True, kw_only=True):
    """计生补贴记账 (YC-2023, 004:L102-103): once per spouse and year, if that spouse pays that year (I-26)."""

    person_id: str
    year: int
    village: str
    fen: int
    credited_on: dt.date
    rule: str
    clause: str


class PensionCreditReversed(Event, frozen=True, kw_only=True):
    """个人账户冲账: the person's credit and the year's subsidies are taken back."""

    person_id: str
    year: int
    fen: int
    matching_fen: int
    refund_no: str
    reversed_on: dt.date
    family_planning_fen: int = 0
    village: str = ""


class FiscalHeadsCounted(Event, frozen=True, kw_only=True):
    """财政补助人数核报 (D-45): booked heads of a campaign, restated; stream ``process:fiscal-heads:{campaign}``."""

    campaign: str
    year: int
    kind: str
    heads: int
    fen: int
    as_of: dt.date


class RefusedLine(msgspec.Struct, frozen=True):
    """A returned line that could not be booked."""

    line_no: int
    person_id: str
    error: str


class BookedLine(msgspec.Struct, frozen=True, array_like=True):
    """One leg a part booked; fen. BookkeepingPosted of the person's stream says the rest."""

    person_id: str
    village: str
    payer: str
    fen: int


class ReturnPartBooked(Event, frozen=True, kw_only=True):
    """回传分片已记账: every line of a part (at most 500) is booked or in a named mismatch."""

    return_no: str
    voucher_no: str
    part: int
    parts: int
    booked_lines: int
    booked_fen: int
    refused: tuple[RefusedLine, ...]
    campaign: str
    insurance: Insurance
    year: int
    booked_on: dt.date
    booked: tuple[BookedLine, ...]


class CollectionInfoAcknowledged(Event, frozen=True, kw_only=True):
    """回传确认: once per return document. refused holds at most 400 lines; refused_lines counts all."""

    return_no: str
    voucher_no: str
    booked_lines: int
    booked_fen: int
    refused_lines: int
    refused: tuple[RefusedLine, ...]


class ReturnTotalsDiffered(Event, frozen=True, kw_only=True):
    """回传合计不符: the lines do not add up to the totals the document states (I-24); fen and lines."""

    return_no: str
    voucher_no: str
    campaign: str
    stated_count: int
    stated_fen: int
    count: int
    fen: int


EVENTS: tuple[type[Event], ...] = (
    BookkeepingPosted,
    BookkeepingMismatchDetected,
    BookkeepingReversed,
    PensionAccountCredited,
    GovernmentMatchingCredited,
    FamilyPlanningSpouseNoted,
    FamilyPlanningSubsidyCredited,
    PensionCreditReversed,
    FiscalHeadsCounted,
    ReturnPartBooked,
    CollectionInfoAcknowledged,
    ReturnTotalsDiffered,
)
