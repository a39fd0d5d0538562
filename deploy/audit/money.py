"""``unaccounted_fen``: the outside's books against what the streams place in exactly one named state.

Plus and minus never cancel: every cell, slip, treasury entry and refund is compared by itself.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from deploy.audit.evidence import Books, Evidence, Row
from deploy.audit.fund_lines import FundLines
from deploy.audit.hearing import ORDER, Campaigns, Hearing, Listener, hears
from deploy.audit.lines import Lines
from deploy.audit.obligations import Obligations
from deploy.audit.tally import Scope
from shared.policy.registry import PackRegistry

BROKEN_SHOWN = 50
DIFFERENCES_SHOWN = 200


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


Sums = dict[str, int]
"""Fen per number: what is written twice counts twice, as money moved twice would."""


class Money(Listener):
    """What the streams say of deposits, treasury entries and refunds, beside the lines; and the outside's books."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._outside = array("q")
        self._deposited: Sums = defaultdict(int)
        self._corrected: list[tuple[str, int]] = []
        self._unmatched: Sums = {}
        self._entered: Sums = defaultdict(int)
        self._refunded: Sums = defaultdict(int)
        self._books: dict[str, Sums] = {
            name: defaultdict(int) for name in ("DEPOSIT", "TREASURY", "REFUNDED")
        }
        self._records = 0
        self._open: dict[tuple[str, ...], int] = {}

    # -- the streams --------------------------------------------------------------------------------------

    @hears("collection", "DailySettlementDeposited")
    def _deposit(self, row: Row) -> None:
        self._deposited[row.data["slip_no"]] += row.data["fen"]

    @hears("collection", "SettlementCorrected")
    def _correct(self, row: Row) -> None:
        """Without a slip the bank has no such money; under a slip that was deposited already it has it once."""
        number = row.data["slip_no"] or f"correction {row.stream} {row.version}"
        self._corrected.append((number, row.data["fen"]))

    @hears("collection", "DepositFileReceived", "UnmatchedDepositsListed")
    def _unmatch(self, row: Row) -> None:
        for slip_no, fen, _ in row.data["unmatched"]:
            self._unmatched.setdefault(slip_no, fen)

    @hears("collection", "TreasuryEntryConfirmed")
    def _enter(self, row: Row) -> None:
        self._entered[row.data["voucher_no"]] += row.data["fen"]

    @hears("collection", "FiscalAccountTransferred")
    def _pool(self, row: Row) -> None:
        """Where a plan has no treasury the fiscal account is where money ends."""
        self._entered[row.data["document_no"]] += row.data["fen"]

    @hears("collection", "PaymentRefunded")
    def _refund(self, row: Row) -> None:
        self._refunded[row.data["line_id"]] += row.data["fen"]

    @hears("collection", "RefundPaidAfterCancellation")
    def _refund_late(self, row: Row) -> None:
        """The money is out although its ground was withdrawn; it is claimed back by name."""
        self._refunded[row.data["payment_line_id"]] += row.data["fen"]

    @hears("collection", "RefundRecovered")
    def _recover(self, row: Row) -> None:
        self._refunded[row.data["payment_line_id"]] -= row.data["fen"]

    @hears(
        "collection",
        "DailySettlementDiscrepancyDetected",
        "DailySettlementDiscrepancyResolved",
        "ReconciliationDifferenceFound",
        "ReconciliationDifferenceResolved",
    )
    def _difference(self, row: Row) -> None:
        """Differences of settlement and reconciliation nobody has resolved yet."""
        data = row.data
        match row.type:
            case "DailySettlementDiscrepancyDetected":
                self._open[_day(data)] = abs(data["diff_fen"])
            case "DailySettlementDiscrepancyResolved":
                self._open.pop(_day(data), None)
            case "ReconciliationDifferenceFound":
                self._open[row.stream, data["difference_id"]] = abs(data["fen"])
            case _:
                self._open.pop((row.stream, data["difference_id"]), None)

    # -- the outside --------------------------------------------------------------------------------------

    def compare_with(self, books: Books) -> None:
        """The outside's books, or a page of them. A cell may have several rows (one per government voucher)."""
        for row in books.rows:
            cell = self._lines.cells.number(row.village, row.insurance, row.date.isoformat(), row.channel)
            self._outside.extend([0] * (cell + 1 - len(self._outside)))
            self._outside[cell] += row.fen
        for slip in books.deposits:
            self._books["DEPOSIT"][slip.slip_no] += slip.fen
        for entry in books.treasury:
            self._books["TREASURY"][entry.voucher_no] += entry.fen
        for refund in books.refunds:
            self._books["REFUNDED"][refund.line_id] += refund.fen
        self._records += sum(map(len, (books.rows, books.deposits, books.treasury, books.refunds)))

    # -- both ---------------------------------------------------------------------------------------------

    def result(self) -> MoneyAudit:
        """After ``Lines.close``: compare every book."""
        placed, states, broken, count = self._place()
        differences = [
            *self._taken(placed),
            *_compare("REFUNDED", self._books["REFUNDED"], self._refunded),
            *_compare("DEPOSIT", self._books["DEPOSIT"], self._deposits()),
            *_compare("TREASURY", self._books["TREASURY"], self._entered),
        ]
        return MoneyAudit(
            unaccounted_fen=sum(abs(each.outside_fen - each.placed_fen) for each in differences),
            difference_fen=sum(self._open.values()),
            records_compared=count + self._records,
            states=dict(sorted(states.items())),
            broken=tuple(sorted(broken)[:BROKEN_SHOWN]),
            differences=tuple(differences[:DIFFERENCES_SHOWN]),
        )

    def _place(self) -> tuple[array[int], Sums, list[str], int]:
        """Fen per cell, fen per state, the lines that are nowhere, how many lines there are."""
        lines = self._lines
        placed = array("q", bytes(8 * len(lines.cells)))
        states: Sums = defaultdict(int)
        broken: list[str] = []
        count = 0
        for line_id, number in lines:
            count += 1
            state = lines.state(number)
            if not state:
                broken.append(line_id)
                continue
            placed[lines.cell[number]] += lines.fen[number]
            states[state] += lines.fen[number]
        return placed, states, broken, count

    def _taken(self, placed: array[int]) -> list[CellDifference]:
        self._outside.extend([0] * (len(placed) - len(self._outside)))
        differing = (cell for cell, fen in enumerate(placed) if fen != self._outside[cell])
        found = [
            CellDifference("TAKEN", self._lines.cells.shown(cell), self._outside[cell], placed[cell])
            for cell in differing
        ]
        return sorted(found, key=lambda each: each.cell)

    def _deposits(self) -> Sums:
        """Deposits and corrections as the streams have them, matched to an agent or not; slip number to fen."""
        found = dict(self._deposited)
        for number, fen in self._corrected:
            found[number] = found.get(number, 0) + fen
        return self._unmatched | found


def _day(data: Mapping[str, str]) -> tuple[str, ...]:
    return data["village"], data["source"], data["date"], data["insurance"]


def _compare(book: str, outside: Sums, placed: Sums) -> list[CellDifference]:
    numbers = {number for number, fen in outside.items() if fen != placed.get(number, 0)}
    numbers |= {number for number, fen in placed.items() if fen != outside.get(number, 0)}
    return [
        CellDifference(book, number, outside.get(number, 0), placed.get(number, 0))
        for number in sorted(numbers)
    ]


def audit_money(evidence: Evidence) -> MoneyAudit:
    """Compare every book of the outside with the streams."""
    campaigns, obligations = Campaigns(PackRegistry(evidence.packs.values())), Obligations()
    lines = Lines(campaigns, obligations)
    funds, money = FundLines(lines), Money(lines)
    hearing = Hearing(Scope(), [campaigns, obligations, lines, funds, money])
    for service in ORDER:
        hearing.hear(service, evidence.logs.get(service, ()))
    funds.close()
    lines.close()
    money.compare_with(evidence.books)
    return money.result()
