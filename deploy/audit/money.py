"""``unaccounted_fen``: the outside's books against what the streams place in exactly one named state.

Every payment line and every government leg is followed through its chain, event by event. A line whose chain
has a hole (vouchered but never settled, in treasury but not returned, returned but neither booked nor in a named
mismatch, paid back but still booked, cash without a receipt) is placed nowhere, so its fen stay unaccounted.
Plus and minus never cancel.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from deploy.audit.evidence import Evidence, day_of

GOVERNMENT = "GOVERNMENT"
CASH = "CASH_AGENT"
CHAIN = ("SETTLED", "DECLARED", "VOUCHERED", "DEBITED", "REMITTED", "IN_TREASURY", "RETURNED", "BOOKED")
RECEIVED_TYPES = (
    "PaymentReceived",
    "DuplicatePaymentDetected",
    "PostDeathPaymentDetected",
    "MisfitPaymentDetected",
)

Cell = tuple[str, str, dt.date, str]
"""(village, insurance, day, channel)."""


class CellDifference(msgspec.Struct, frozen=True):
    """A cell where outside and streams differ; fen. book: TAKEN, REFUNDED, DEPOSIT or TREASURY."""

    book: str
    cell: str
    outside_fen: int
    placed_fen: int


class MoneyAudit(msgspec.Struct, frozen=True):
    """The audit of money. difference_fen: known and open differences, never inside unaccounted_fen."""

    unaccounted_fen: int
    difference_fen: int
    records_compared: int
    states: dict[str, int]
    broken: tuple[str, ...]
    differences: tuple[CellDifference, ...]


@dataclass(slots=True)
class Line:
    """One payment line or government leg on its way."""

    line_id: str
    cell: Cell
    fen: int
    standing: str
    stages: set[str] = field(default_factory=set)
    receipt: bool = True
    refunded: bool = False
    reversed: bool = False
    mismatched: bool = False

    def state(self) -> str:
        """The one named state, or "" when the chain has a hole, be the line refunded or not."""
        if not self.receipt:
            return ""
        if self.standing == "UNIDENTIFIED":
            return "UNIDENTIFIED"
        chain = [stage for stage in CHAIN if stage in self._needed()]
        reached = [stage in self.stages for stage in chain]
        count = reached.index(False) if False in reached else len(chain)
        last = chain[count - 1] if count else "RECEIVED"
        waiting = last in ("IN_TREASURY", "RETURNED")
        named = last == "RETURNED" and self.mismatched
        if any(reached[count:]) or (waiting and not named):
            return ""
        if self.refunded:
            return "REFUNDED" if self.reversed or last != "BOOKED" else ""
        if named:
            return "MISMATCHED"
        return last if self.standing == "EFFECTIVE" else "REFUND_DUE"

    def _needed(self) -> frozenset[str]:
        stages = set(CHAIN)
        if self.cell[3] == GOVERNMENT:
            stages -= {"SETTLED", "DECLARED"}
        elif self.cell[3] != CASH and "DECLARED" not in self.stages:
            stages -= {"DECLARED"}
        return frozenset(stages)


class Ledger:
    """Every line, rebuilt from the logs of collection and registration."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.lines: dict[str, Line] = {}
        self._voucher_lines: dict[str, list[str]] = defaultdict(list)
        self._returned: dict[tuple[str, int], str] = {}
        self._receive()
        self._receipts()
        self._settle()
        self._voucher()
        self._return()
        self._book()
        self._refund()

    def _receive(self) -> None:
        """In the order of the log: the last word on a line is where it stands."""
        findings = (*RECEIVED_TYPES, "UnidentifiedMoneyRecorded", "PostDeathFindingWithdrawn")
        for row in self._evidence.collection(*findings):
            data = row.data
            if row.type == "PostDeathFindingWithdrawn":
                if data["line_id"] in self.lines:
                    self.lines[data["line_id"]].standing = "EFFECTIVE"
                continue
            cell = (data["village"], data["insurance"], day_of(data["paid_at"]), data["channel"])
            standing = "EFFECTIVE" if row.type == "PaymentReceived" else row.type
            if row.type == "UnidentifiedMoneyRecorded":
                standing = "UNIDENTIFIED"
            known = self.lines.get(data["line_id"])
            if known is None:
                self.lines[data["line_id"]] = Line(data["line_id"], cell, data["fen"], standing)
            else:
                known.standing = standing
                known.cell = cell

    def _receipts(self) -> None:
        """Cash without its receipt is placed nowhere (I-19)."""
        issued = {row.data["payment_id"] for row in self._evidence.collection("ReceiptIssued")}
        reused = {row.data["payment_id"] for row in self._evidence.collection("ReceiptReuseDetected")}
        for line in self.lines.values():
            if line.cell[3] == CASH and line.standing != "UNIDENTIFIED":
                line.receipt = line.line_id.rpartition("/")[0] in issued | reused

    def _mark(self, line_ids: Iterable[str], stage: str) -> None:
        for line_id in line_ids:
            line = self.lines.get(line_id)
            if line is not None:
                line.stages.add(stage)

    def _settle(self) -> None:
        for row in self._evidence.collection("SettlementLinesConfirmed"):
            self._mark(row.data["lines"], "SETTLED")
        returned = {row.data["declaration_no"] for row in self._evidence.collection("DeclarationReturned")}
        for row in self._evidence.collection("DeclarationLines"):
            if row.data["declaration_no"] not in returned:
                self._mark((line[0] for line in row.data["lines"]), "DECLARED")

    def _voucher(self) -> None:
        evidence = self._evidence
        issued = {row.data["voucher_no"]: row for row in evidence.collection("TaxVoucherIssued")}
        debited: dict[str, dt.date] = {}
        for row in evidence.collection("FundsDebited"):
            debited.setdefault(row.data["voucher_no"], day_of(row.data["at"]))
        for row in evidence.collection("VoucherLines"):
            number = row.data["voucher_no"]
            voucher = issued.get(number)
            for index, line in enumerate(row.data["lines"]):
                line_id = line[0] or f"{number}#{row.data['part']}.{index}"
                self._voucher_lines[number].append(line_id)
                if not line[0] and voucher is not None and number in debited:
                    cell = (line[2], voucher.data["insurance"], debited[number], GOVERNMENT)
                    self.lines[line_id] = Line(line_id, cell, line[4], "EFFECTIVE")
            if voucher is not None:
                self._mark(self._voucher_lines[number], "VOUCHERED")
        for number, stage in self._voucher_stages(evidence):
            self._mark(self._voucher_lines[number], stage)

    @staticmethod
    def _voucher_stages(evidence: Evidence) -> list[tuple[str, str]]:
        """Stages each voucher has reached; a rejected entry starts its debit anew."""
        reached: dict[str, set[str]] = defaultdict(set)
        steps = {
            "FundsDebited": "DEBITED",
            "FundsRemitted": "REMITTED",
            "TreasuryEntryConfirmed": "IN_TREASURY",
        }
        for row in evidence.collection(*steps, "TaxVoucherReissued"):
            if row.type == "TaxVoucherReissued":
                reached[row.data["voucher_no"]].clear()
            else:
                reached[row.data["voucher_no"]].add(steps[row.type])
        return [(number, stage) for number, stages in reached.items() for stage in stages]

    def _return(self) -> None:
        for row in self._evidence.collection("CollectionInfoReturned"):
            data = row.data
            number, first = data["voucher_no"], data["first_line_no"]
            known = self._voucher_lines[number]
            for index, line in enumerate(data["lines"]):
                position = first + index
                line_id = line[0] or (known[position - 1] if position <= len(known) else "")
                self._mark([line_id], "RETURNED")
                self._returned[data["return_no"], position] = line_id

    def _book(self) -> None:
        for row in self._evidence.registration("BookkeepingPosted"):
            line_id = self._returned.get((row.data["return_no"], row.data["line_no"]))
            line = self.lines.get(line_id) if line_id is not None else None
            if line is not None and line.fen == row.data["fen"]:
                line.stages.add("BOOKED")
        for row in self._evidence.registration("BookkeepingMismatchDetected"):
            line_id = self._returned.get((row.data["return_no"], row.data["line_no"]))
            if line_id is not None and line_id in self.lines:
                self.lines[line_id].mismatched = True

    def _refund(self) -> None:
        for row in self._evidence.collection("PaymentRefunded"):
            line = self.lines.get(row.data["line_id"])
            if line is not None and line.fen == row.data["fen"]:
                line.refunded = True
        for row in self._evidence.registration("BookkeepingReversed"):
            line = self.lines.get(row.data["payment_line_id"])
            if line is not None and line.fen == row.data["fen"]:
                line.reversed = True


def audit_money(evidence: Evidence) -> MoneyAudit:
    """Compare every book of the outside with the streams."""
    ledger = Ledger(evidence)
    placed: dict[Cell, int] = defaultdict(int)
    states: dict[str, int] = defaultdict(int)
    broken: list[str] = []
    for line in ledger.lines.values():
        state = line.state()
        if not state:
            broken.append(line.line_id)
            continue
        placed[line.cell] += line.fen
        states[state] += line.fen
    differences = [
        *_compare("TAKEN", _taken(evidence), placed),
        *_compare("REFUNDED", _paid_back(evidence), _recorded_back(evidence)),
        *_compare(
            "DEPOSIT",
            _sums((slip.slip_no, slip.fen) for slip in evidence.books.deposits),
            _deposits(evidence),
        ),
        *_compare(
            "TREASURY",
            _sums((entry.voucher_no, entry.fen) for entry in evidence.books.treasury),
            _sums(
                (row.data["voucher_no"], row.data["fen"])
                for row in evidence.collection("TreasuryEntryConfirmed")
            ),
        ),
    ]
    books = evidence.books
    return MoneyAudit(
        unaccounted_fen=sum(abs(each.outside_fen - each.placed_fen) for each in differences),
        difference_fen=open_differences(evidence),
        records_compared=len(ledger.lines)
        + sum(map(len, (books.rows, books.deposits, books.treasury, books.refunds))),
        states=dict(sorted(states.items())),
        broken=tuple(sorted(broken)[:50]),
        differences=tuple(differences[:200]),
    )


def _taken(evidence: Evidence) -> dict[Cell, int]:
    """The outside's sums per cell; a cell may have several rows (one per government voucher)."""
    sums: dict[Cell, int] = defaultdict(int)
    for row in evidence.books.rows:
        sums[row.village, row.insurance, row.date, row.channel] += row.fen
    return sums


def _sums(entries: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Fen per number: what is written twice counts twice, as money moved twice would."""
    sums: dict[str, int] = defaultdict(int)
    for number, fen in entries:
        sums[number] += fen
    return sums


def _paid_back(evidence: Evidence) -> dict[str, int]:
    """What the outside paid back, by payment line."""
    return _sums((refund.line_id, refund.fen) for refund in evidence.books.refunds)


def _recorded_back(evidence: Evidence) -> dict[str, int]:
    """What the streams say was paid back, by payment line, be the line known or lost itself."""
    return _sums((row.data["line_id"], row.data["fen"]) for row in evidence.collection("PaymentRefunded"))


def _deposits(evidence: Evidence) -> dict[str, int]:
    """Deposits and corrections as the streams have them, matched to an agent or not; slip number to fen."""
    found = _sums(
        (row.data["slip_no"], row.data["fen"]) for row in evidence.collection("DailySettlementDeposited")
    )
    for row in evidence.collection("SettlementCorrected"):
        # Without a slip the bank has no such money; under a slip that was deposited already it has it once.
        number = row.data["slip_no"] or f"correction {row.stream} {row.version}"
        found[number] = found.get(number, 0) + row.data["fen"]
    for row in evidence.collection("DepositFileReceived", "UnmatchedDepositsListed"):
        for slip_no, fen, _ in row.data["unmatched"]:
            found.setdefault(slip_no, fen)
    return found


def _compare(book: str, outside: dict[Any, int], placed: dict[Any, int]) -> list[CellDifference]:
    keys = {key for key, fen in outside.items() if fen} | {key for key, fen in placed.items() if fen}
    return [
        CellDifference(book, _shown(key), outside.get(key, 0), placed.get(key, 0))
        for key in sorted(keys, key=_shown)
        if outside.get(key, 0) != placed.get(key, 0)
    ]


def _shown(key: Any) -> str:
    return " ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)


def open_differences(evidence: Evidence) -> int:
    """Differences of settlement and reconciliation nobody has resolved yet, in fen."""
    found: dict[tuple[str, ...], int] = {}
    for row in evidence.collection(
        "DailySettlementDiscrepancyDetected",
        "DailySettlementDiscrepancyResolved",
        "ReconciliationDifferenceFound",
        "ReconciliationDifferenceResolved",
    ):
        data = row.data
        match row.type:
            case "DailySettlementDiscrepancyDetected":
                found[_day(data)] = abs(data["diff_fen"])
            case "DailySettlementDiscrepancyResolved":
                found.pop(_day(data), None)
            case "ReconciliationDifferenceFound":
                found[row.stream, data["difference_id"]] = abs(data["fen"])
            case _:
                found.pop((row.stream, data["difference_id"]), None)
    return sum(found.values())


def _day(data: Mapping[str, Any]) -> tuple[str, ...]:
    return data["village"], data["source"], data["date"], data["insurance"]
