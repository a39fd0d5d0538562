"""Events of stream ``case:{id}``. Rule hits are append-only."""

from __future__ import annotations

import datetime as dt

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class Flagged(Event, frozen=True, kw_only=True):
    """A rule hit: who (agent or village of the campaign), which money, which fact proves it."""

    case_id: str
    subject: str
    rule: str
    campaign: str
    village: str
    insurance: Insurance
    date: dt.date
    fen: int
    evidence: tuple[str, ...]


class FundRetentionFlagged(Flagged, frozen=True, kw_only=True):
    """滞留资金 (I-22): cash not deposited within the pack's limit."""


class AdvanceFundingFlagged(Flagged, frozen=True, kw_only=True):
    """垫资缴费嫌疑 (I-22): more deposited than receipts were written."""


class ShortfallFlagged(Flagged, frozen=True, kw_only=True):
    """短款（疑似截留）: less deposited than receipts were written."""


class RefundPaidInVainFlagged(Flagged, frozen=True, kw_only=True):
    """无据退付 (I-28): the bank paid a refund that was cancelled; the money is to be recovered."""


class AuditCaseOpened(Event, frozen=True, kw_only=True):
    """审计案件立案."""

    case_id: str
    subject: str
    rule: str
    campaign: str
    village: str
    opened_on: dt.date


class AuditCaseClosed(Event, frozen=True, kw_only=True):
    """审计案件结案: needs a finding."""

    case_id: str
    finding: str
    closed_by: str
    closed_on: dt.date


EVENTS: tuple[type[Event], ...] = (
    FundRetentionFlagged,
    AdvanceFundingFlagged,
    ShortfallFlagged,
    RefundPaidInVainFlagged,
    AuditCaseOpened,
    AuditCaseClosed,
)
