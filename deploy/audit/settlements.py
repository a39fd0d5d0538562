"""Invariants of agents' money: I-18 to I-20, I-22."""

from __future__ import annotations

from collections import defaultdict

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.lines import CASH, RECEIVED_TYPES, UNIDENTIFIED, Lines
from deploy.audit.payments import OfLines
from deploy.audit.tally import Scope

PARTIES = ("collected", "entered", "money")
"""收、录、钱."""

Source = tuple[str, ...]
"""Village ("" for a channel), agent or channel, day, insurance."""


def source_of(row: Row) -> Source:
    """Whose day a settlement's event tells of."""
    data = row.data
    return data["village"], data["source"], data["date"], data["insurance"]


class I18(Check):
    """Agents have a designated account; a deposit elsewhere is flagged."""

    id = "I-18"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._elsewhere: list[tuple[str, str]] = []
        self._flagged: set[str] = set()

    @hears("collection", "AgentAuthorized")
    def _authorised(self, row: Row) -> None:
        self.tally.see(bool(row.data["designated_account"]), row)

    @hears("collection", "PersonalAccountDepositFlagged", "MixedDepositFlagged")
    def _flag(self, row: Row) -> None:
        self._flagged.add(row.data["slip_no"])

    @hears("collection", "DailySettlementDeposited")
    def _deposited(self, row: Row) -> None:
        if row.data["designated"]:
            self.tally.see(True, row)
        elif self.tally.judges(row):
            self._elsewhere.append((row.data["slip_no"], str(row.event_id)))

    def close(self) -> None:
        for slip_no, event_id in self._elsewhere:
            self.tally.see(slip_no in self._flagged, event_id)


class I19(OfLines):
    """Each cash order has exactly one receipt of its total; a serial is used once."""

    id = "I-19"

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines) -> None:
        super().__init__(scope, campaigns, lines)
        self._cash: dict[str, int] = defaultdict(int)
        self._heard: set[str] = set()
        self._serials: set[str] = set()
        self._receipts: dict[str, tuple[int, ...]] = {}
        self._reused: set[str] = set()

    @hears("collection", *RECEIVED_TYPES, UNIDENTIFIED)
    def _paid(self, row: Row) -> None:
        """A line told again is the same money."""
        data = row.data
        if data["channel"] == CASH and data["line_id"] not in self._heard:
            self._heard.add(data["line_id"])
            self._cash[data["payment_id"]] += data["fen"]

    @hears("collection", "ReceiptIssued")
    def _issued(self, row: Row) -> None:
        data = row.data
        serial = f"{data['book_no']} {data['serial_no']}"
        self.tally.see(serial not in self._serials, row)
        self._serials.add(serial)
        self._receipts[data["payment_id"]] = (*self._receipts.get(data["payment_id"], ()), data["fen"])

    @hears("collection", "ReceiptReuseDetected")
    def _reuse(self, row: Row) -> None:
        self._reused.add(row.data["payment_id"])

    def close(self) -> None:
        for payment, fen in self._cash.items():
            self.tally.see(self._receipts.get(payment) == (fen,) or payment in self._reused, payment)


class I20(OfLines):
    """Confirmed days: lines = confirmation; cash = receipts = designated deposits. Three-way matches are equal."""

    id = "I-20"

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines) -> None:
        super().__init__(scope, campaigns, lines)
        self._sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._stated: list[tuple[str, list[int], str]] = []
        self._deposited: dict[Source, int] = defaultdict(int)
        self._confirmed: dict[Source, int] = defaultdict(int)

    @hears("collection", "SettlementLinesConfirmed")
    def _confirm_lines(self, row: Row) -> None:
        sums = self._sums[_batch(row)]
        for line_id in row.data["lines"]:
            number = self._lines.number(line_id)
            sums[0] += 1
            sums[1] += self._lines.fen[number] if number is not None else 0

    @hears("collection", "DailySettlementConfirmed")
    def _confirm(self, row: Row) -> None:
        if self.tally.judges(row):
            stated = [row.data["count"], row.data["fen"]]
            self._stated.append((_batch(row), stated, str(row.event_id)))
        if row.data["kind"] == "AGENT":
            self._confirmed[source_of(row)] += row.data["fen"]

    @hears("collection", "DailySettlementDeposited")
    def _deposit(self, row: Row) -> None:
        if row.data["designated"]:
            self._deposited[source_of(row)] += row.data["fen"]

    @hears("collection", "SettlementCorrected")
    def _correct(self, row: Row) -> None:
        sign = -1 if row.data["resolution"] == "RETURNED_EXCESS" else 1
        self._deposited[source_of(row)] += sign * row.data["fen"]

    @hears("collection", "ThreeWayMatchVerified")
    def _match(self, row: Row) -> None:
        counts = {row.data[f"{party}_count"] for party in PARTIES}
        sums = {row.data[f"{party}_fen"] for party in PARTIES}
        self.tally.see(len(counts) == len(sums) == 1, row)

    def close(self) -> None:
        for batch, stated, event_id in self._stated:
            self.tally.see(self._sums[batch] == stated, event_id)
        for source, fen in self._confirmed.items():
            self.tally.see(self._deposited[source] == fen, " ".join(source))


def _batch(row: Row) -> str:
    names = ("campaign", "village", "source", "date", "insurance", "batch")
    return " ".join(str(row.data[name]) for name in names)


class I22(Check):
    """Late deposits were flagged overdue; deposits that differ were flagged, and supervised."""

    id = "I-22"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._supervised: set[Source] = set()
        self._overdue: set[Source] = set()
        self._late: list[tuple[Source, str]] = []

    @hears("notification", "FundRetentionFlagged", "AdvanceFundingFlagged", "ShortfallFlagged")
    def _supervise(self, row: Row) -> None:
        data = row.data
        self._supervised.add((data["village"], data["subject"], data["date"], data["insurance"]))

    @hears("collection", "SettlementOverdue")
    def _overrun(self, row: Row) -> None:
        self._overdue.add(source_of(row))
        self.tally.see(source_of(row) in self._supervised, row)

    @hears("collection", "DailySettlementDeposited")
    def _deposit(self, row: Row) -> None:
        if day_of(row.data["deposited_on"]) <= day_of(row.data["date"]):
            self.tally.see(True, row)
        elif self.tally.judges(row):
            self._late.append((source_of(row), str(row.event_id)))

    @hears("collection", "DailySettlementDiscrepancyDetected")
    def _differ(self, row: Row) -> None:
        if row.data["diff_fen"] and row.data["kind"] == "AGENT":
            self.tally.see(source_of(row) in self._supervised, row)

    def close(self) -> None:
        for source, event_id in self._late:
            self.tally.see(source in self._overdue, event_id)
