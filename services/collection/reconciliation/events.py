"""Events of streams ``reconciliation:{campaign}:{date}`` and ``reconciliation:{campaign}:{month}``."""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class StatementRow(msgspec.Struct, frozen=True, array_like=True):
    """What a party's monthly statement says of one insurance."""

    insurance: Insurance
    count: int
    fen: int


class TotalsReconciled(Event, frozen=True, kw_only=True):
    """总额对账 (I-29): count and fen per party. in_transit_fen: returned and not acknowledged yet."""

    campaign: str
    date: dt.date
    insurance: Insurance
    parties: dict[str, tuple[int, int]]
    in_transit_fen: int
    equal: bool


class DetailsReconciled(Event, frozen=True, kw_only=True):
    """明细对账: vouchers of the day that agree, are still on their way, or differ."""

    campaign: str
    date: dt.date
    matched: int
    in_transit: int
    differing: int
    amount_diff_fen: int


class ReconciliationDifferenceFound(Event, frozen=True, kw_only=True):
    """对账差异. kind: MISSING_RETURN, AMOUNT or UNIDENTIFIED; owner: who has to act."""

    campaign: str
    difference_id: str
    date: dt.date
    insurance: Insurance
    kind: str
    fen: int
    owner: str


class ReconciliationDifferenceResolved(Event, frozen=True, kw_only=True):
    """对账差异处理: what differed agrees now."""

    campaign: str
    difference_id: str
    date: dt.date
    insurance: Insurance


class ThreeWayMatchVerified(Event, frozen=True, kw_only=True):
    """收、录、钱一一对应 (I-20): collected = entered = money of a village, in count and fen."""

    campaign: str
    village: str
    insurance: Insurance
    collected_count: int
    collected_fen: int
    entered_count: int
    entered_fen: int
    money_count: int
    money_fen: int


class PartyStatementReceived(Event, frozen=True, kw_only=True):
    """月度对账单 of FINANCE or TREASURY; a later one of the same month replaces it."""

    campaign: str
    month: str
    party: str
    rows: tuple[StatementRow, ...]
