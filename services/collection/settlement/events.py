"""Events of streams ``settlement:{campaign}:{village or channel}:{date}`` and ``process:deposit-file:…``.

source: the agent's id, or the channel. kind: AGENT or CHANNEL. A channel settles its whole day at once:
its events have village "", and what belongs to which village is read from the lines.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from shared.kernel.events import Event
from shared.kernel.insurance import Insurance


class DayTotal(msgspec.Struct, frozen=True, array_like=True):
    """Count of lines and fen of one insurance on a day."""

    insurance: Insurance
    count: int
    fen: int


class ToldLine(msgspec.Struct, frozen=True, array_like=True):
    """What a channel's file says of a line our streams have another amount for; fen."""

    line_id: str
    fen: int


class UnmatchedDeposit(msgspec.Struct, frozen=True, array_like=True):
    """A deposit line of a bank's file that fits no agent. reason: the refusal's code."""

    slip_no: str
    fen: int
    reason: str


class AgentDailySummarySubmitted(Event, frozen=True, kw_only=True):
    """代办员日汇总: replaces the day's earlier summary while it is not confirmed."""

    campaign: str
    village: str
    agent_id: str
    date: dt.date
    totals: tuple[DayTotal, ...]
    receipts_from: str = ""
    receipts_to: str = ""


class DailySettlementDeposited(Event, frozen=True, kw_only=True):
    """费款日解缴 as the bank told. designated False: another account than the unit's, which does not count."""

    campaign: str
    village: str
    source: str
    date: dt.date
    insurance: Insurance
    slip_no: str
    file_no: str
    bank: str
    fen: int
    deposited_on: dt.date
    designated: bool = True


class DepositFileReceived(Event, frozen=True, kw_only=True):
    """银行解缴文件: all lines of a file; what fits no agent is listed, not dropped.

    unmatched: the first part of the list; further parts follow as UnmatchedDepositsListed.
    """

    file_no: str
    bank: str
    digest: str
    count: int
    fen: int
    matched_fen: int
    unmatched: tuple[UnmatchedDeposit, ...]


class UnmatchedDepositsListed(Event, frozen=True, kw_only=True):
    """解缴文件未匹配明细: what the file's own event has no room for; at most 500 lines each."""

    file_no: str
    bank: str
    part: int
    unmatched: tuple[UnmatchedDeposit, ...]


class PersonalAccountDepositFlagged(Event, frozen=True, kw_only=True):
    """个人账户归集 (I-18): money went to an account that is not the agent's designated unit account."""

    campaign: str
    village: str
    agent_id: str
    date: dt.date
    insurance: Insurance
    slip_no: str
    fen: int


class SettlementLinesConfirmed(Event, frozen=True, kw_only=True):
    """日结明细: lines of the confirmation that follows; at most 500 each. A line stands in one settlement."""

    campaign: str
    village: str
    source: str
    kind: str
    date: dt.date
    insurance: Insurance
    batch: int
    part: int
    parts: int
    lines: tuple[str, ...]


class DailySettlementConfirmed(Event, frozen=True, kw_only=True):
    """日结确认 (I-20): receipts = summary = deposit, or file = recorded; of batch ``batch`` of the day."""

    campaign: str
    village: str
    source: str
    kind: str
    date: dt.date
    insurance: Insurance
    batch: int
    count: int
    fen: int


class DailySettlementDiscrepancyDetected(Event, frozen=True, kw_only=True):
    """日结差异: blocks the village's declaration until resolved. diff_fen = actual - expected.

    reason: OVER (垫资 suspicion), SHORT, SUMMARY (the agent's own summary differs), AMOUNT or MISSING_IN_FILE.
    """

    campaign: str
    village: str
    source: str
    kind: str
    date: dt.date
    insurance: Insurance
    reason: str
    expected_count: int
    expected_fen: int
    actual_count: int
    actual_fen: int
    diff_fen: int


class SettlementCorrected(Event, frozen=True, kw_only=True):
    """日结差异更正: CORRECTIVE_DEPOSIT adds ``fen`` to the deposits, RETURNED_EXCESS takes it off."""

    campaign: str
    village: str
    source: str
    date: dt.date
    insurance: Insurance
    resolution: str
    slip_no: str
    fen: int
    note: str


class DailySettlementDiscrepancyResolved(Event, frozen=True, kw_only=True):
    """日结差异处理. resolution: CORRECTIVE_DEPOSIT, RETURNED_EXCESS, LATER_DEPOSIT, NEW_SUMMARY or LATER_FILE."""

    campaign: str
    village: str
    source: str
    kind: str
    date: dt.date
    insurance: Insurance
    resolution: str


class MixedDepositFlagged(Event, frozen=True, kw_only=True):
    """养老、医疗资金混存: money of one insurance went to the other's fund account; it does not count there."""

    campaign: str
    village: str
    agent_id: str
    date: dt.date
    insurance: Insurance
    slip_no: str
    fen: int


class SettlementOverdue(Event, frozen=True, kw_only=True):
    """滞留资金预警 (I-22): cash not deposited by the day it was taken. Once per agent, day and insurance."""

    campaign: str
    village: str
    source: str
    date: dt.date
    insurance: Insurance
    days: int
    fen: int


class ChannelDayFileReceived(Event, frozen=True, kw_only=True):
    """渠道日终文件: the channel's own book of a day, as it reached us. digest: of the parsed content.

    sums: what the file adds to that book per insurance, a line told before only by what is said anew;
    differing: lines told with another amount than recorded, or put right since; at most 500.
    """

    campaign: str
    channel: str
    date: dt.date
    file_no: str
    batch: int
    digest: str
    count: int
    fen: int
    unidentified_fen: int
    sums: tuple[DayTotal, ...]
    differing: tuple[ToldLine, ...] = ()
