"""Every payment line and government leg on its way, followed event by event.

A line whose chain has a hole (vouchered but never settled, in treasury but not returned, returned but neither
booked nor in a named mismatch, paid back but still booked, cash without a receipt) is placed nowhere, so its fen
stay unaccounted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Any

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Listener, hears
from deploy.audit.obligations import Cells, Obligations

GOVERNMENT = "GOVERNMENT"
CASH = "CASH_AGENT"
RECEIVED_TYPES = (
    "PaymentReceived",
    "DuplicatePaymentDetected",
    "PostDeathPaymentDetected",
    "MisfitPaymentDetected",
)
UNIDENTIFIED = "UnidentifiedMoneyRecorded"


class Stage(IntEnum):
    """What happened to a line, a bit each."""

    SETTLED = 1 << 0
    DECLARED = 1 << 1
    VOUCHERED = 1 << 2
    DEBITED = 1 << 3
    REMITTED = 1 << 4
    IN_TREASURY = 1 << 5
    RETURNED = 1 << 6
    BOOKED = 1 << 7
    REFUNDED = 1 << 8
    REVERSED = 1 << 9
    MISMATCHED = 1 << 10
    FUND_ACCOUNT = 1 << 11
    RECONCILED = 1 << 12
    ENTERED = 1 << 13
    FISCAL_ACCOUNT = 1 << 14
    CONFIRMED = 1 << 15
    # what it is, rather than what happened to it
    UNRECEIPTED = 1 << 16
    FUND = 1 << 17


CHAIN = (
    Stage.SETTLED,
    Stage.DECLARED,
    Stage.VOUCHERED,
    Stage.DEBITED,
    Stage.REMITTED,
    Stage.IN_TREASURY,
    Stage.RETURNED,
    Stage.BOOKED,
)
"""The tax bureau's way (seven steps)."""
FUND_CHAIN = (
    Stage.SETTLED,
    Stage.FUND_ACCOUNT,
    Stage.RECONCILED,
    Stage.ENTERED,
    Stage.FISCAL_ACCOUNT,
    Stage.CONFIRMED,
    Stage.RETURNED,
    Stage.BOOKED,
)
"""The way into fund accounts, where a plan has no treasury (000:L133-186)."""
FUND_GOVERNMENT = (Stage.RECONCILED, Stage.FUND_ACCOUNT, *FUND_CHAIN[3:])
"""Of a government leg on that way: its document comes before its money."""
FOLLOWED = (Stage.IN_TREASURY, Stage.RETURNED)
FUND_FOLLOWED = (Stage.SETTLED, Stage.CONFIRMED, Stage.RETURNED)
"""Where nothing may rest: the next step follows by itself."""

EFFECTIVE, DUPLICATE, POST_DEATH, MISFIT, STRAY = range(5)
STANDINGS = dict(zip((*RECEIVED_TYPES, UNIDENTIFIED), range(5), strict=True))
NOBODYS = -1
"""Instead of an obligation: a government leg's line stands on none."""
NOT_YET = -1
"""Instead of a cell: a government leg before its debit is not money yet."""
_REFUND_STANDINGS = (DUPLICATE, POST_DEATH, MISFIT)


@cache
def chain_of(channel: str, declared: bool, fund: bool) -> tuple[Stage, ...]:
    """The steps a line has to take: government's legs are not settled, channels' money is not declared."""
    if fund:
        return FUND_GOVERNMENT if channel == GOVERNMENT else FUND_CHAIN
    if channel == GOVERNMENT:
        return tuple(stage for stage in CHAIN if stage not in (Stage.SETTLED, Stage.DECLARED))
    if channel != CASH and not declared:
        return tuple(stage for stage in CHAIN if stage is not Stage.DECLARED)
    return CHAIN


@cache
def state_of(channel: str, standing: int, stages: int) -> str:
    """The one named state, or "" when the chain has a hole, be the line refunded or not."""
    if stages & Stage.UNRECEIPTED:
        return ""
    if standing == STRAY:
        return "UNIDENTIFIED"
    fund = bool(stages & Stage.FUND)
    chain = chain_of(channel, bool(stages & Stage.DECLARED), fund)
    reached = [bool(stages & stage) for stage in chain]
    count = reached.index(False) if False in reached else len(chain)
    last = chain[count - 1] if count else None
    named = last is Stage.RETURNED and bool(stages & Stage.MISMATCHED)
    if any(reached[count:]) or (last in (FUND_FOLLOWED if fund else FOLLOWED) and not named):
        return ""
    if stages & Stage.REFUNDED:
        return "REFUNDED" if stages & Stage.REVERSED or last is not Stage.BOOKED else ""
    if named:
        return "MISMATCHED"
    if standing in _REFUND_STANDINGS:
        return "REFUND_DUE"
    return "RECEIVED" if last is None else str(last.name)


@dataclass(slots=True)
class Voucher:
    """A voucher: its lines by number, in its own order, and how far it got; a rejected entry starts anew.

    village: "" when it is a channel's or a government payment's, as the bank has it too.
    """

    lines: array[int] = field(default_factory=lambda: array("i"))
    village: str = ""
    insurance: str = ""
    debited_on: str = ""
    stages: int = 0


class Lines(Listener):
    """The lines, each by a small number; ``cells`` number where the outside has them."""

    def __init__(self, campaigns: Campaigns, obligations: Obligations) -> None:
        self.campaigns = campaigns
        self.obligations = obligations
        self.cells = Cells()
        self.numbers: dict[str, int] = {}
        self.fen = array("q")
        self.cell = array("i")
        self.stages = array("i")
        self.standing = array("b")
        self.obligation = array("i")
        self._vouchers: dict[str, Voucher] = {}
        self._declared: dict[str, array[int]] = {}
        self._returned: dict[str, array[int]] = {}
        self._receipts: set[str] = set()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Ids and numbers of the lines that stand in the books."""
        return ((line_id, number) for line_id, number in self.numbers.items() if self.cell[number] != NOT_YET)

    def number(self, line_id: str) -> int | None:
        """The number of a line that was recorded."""
        return self.numbers.get(line_id)

    def add(self, line_id: str, fen: int, cell: int, standing: int, obligation: int) -> int:
        """A line seen for the first time; answers its number."""
        number = self.numbers[line_id] = len(self.fen)
        self.fen.append(fen)
        self.cell.append(cell)
        self.stages.append(0)
        self.standing.append(standing)
        self.obligation.append(obligation)
        return number

    def mark(self, line_ids: Iterable[str], stage: Stage) -> None:
        """The lines reached a stage; unknown ones are passed over."""
        for line_id in line_ids:
            number = self.numbers.get(line_id)
            if number is not None:
                self.stages[number] |= stage

    # -- money comes in -----------------------------------------------------------------------------------

    @hears("collection", *RECEIVED_TYPES, UNIDENTIFIED)
    def _receive(self, row: Row) -> None:
        """In the order of the log: the last word on a line is where it stands."""
        data = row.data
        cell = self.cells.number(data["village"], data["insurance"], day_of(data["paid_at"]), data["channel"])
        standing = STANDINGS[row.type]
        number = self.numbers.get(data["line_id"])
        if number is None:
            self.add(data["line_id"], data["fen"], cell, standing, self.obligations.number(row.stream))
        else:
            self.standing[number] = standing
            self.cell[number] = cell

    @hears("collection", "PostDeathFindingWithdrawn")
    def _withdraw(self, row: Row) -> None:
        number = self.numbers.get(row.data["line_id"])
        if number is not None:
            self.standing[number] = EFFECTIVE

    @hears("collection", "ReceiptIssued", "ReceiptReuseDetected")
    def _receipt(self, row: Row) -> None:
        self._receipts.add(row.data["payment_id"])

    # -- settled, declared --------------------------------------------------------------------------------

    @hears("collection", "SettlementLinesConfirmed")
    def _settle(self, row: Row) -> None:
        self.mark(row.data["lines"], Stage.SETTLED)

    @hears("collection", "DeclarationLines")
    def _declare(self, row: Row) -> None:
        declared = self._declared.setdefault(row.data["declaration_no"], array("i"))
        known = (self.numbers.get(line[0]) for line in row.data["lines"])
        declared.extend(number for number in known if number is not None)

    @hears("collection", "DeclarationReturned")
    def _undeclare(self, row: Row) -> None:
        self._declared.pop(row.data["declaration_no"], None)

    # -- vouchers -----------------------------------------------------------------------------------------

    def _voucher(self, number: str) -> Voucher:
        return self._vouchers.setdefault(number, Voucher())

    @hears("collection", "VoucherLines")
    def _voucher_lines(self, row: Row) -> None:
        number, part = row.data["voucher_no"], row.data["part"]
        voucher = self._voucher(number)
        for index, line in enumerate(row.data["lines"]):
            line_number = (
                self.numbers.get(line[0]) if line[0] else self._leg(f"{number}#{part}.{index}", line)
            )
            voucher.lines.append(-1 if line_number is None else line_number)

    def _leg(self, line_id: str, line: Sequence[Any]) -> int:
        return self.add(line_id, line[4], NOT_YET, EFFECTIVE, NOBODYS)

    @hears("collection", "TaxVoucherIssued")
    def _issue(self, row: Row) -> None:
        voucher = self._voucher(row.data["voucher_no"])
        voucher.village = row.data.get("village", "")
        voucher.insurance = row.data["insurance"]
        voucher.stages |= Stage.VOUCHERED

    @hears("collection", "FundsDebited")
    def _debit(self, row: Row) -> None:
        voucher = self._voucher(row.data["voucher_no"])
        voucher.debited_on = voucher.debited_on or day_of(row.data["at"])
        voucher.stages |= Stage.DEBITED

    @hears("collection", "FundsRemitted")
    def _remit(self, row: Row) -> None:
        self._voucher(row.data["voucher_no"]).stages |= Stage.REMITTED

    @hears("collection", "TreasuryEntryConfirmed")
    def _enter(self, row: Row) -> None:
        self._voucher(row.data["voucher_no"]).stages |= Stage.IN_TREASURY

    @hears("collection", "TaxVoucherReissued")
    def _reissue(self, row: Row) -> None:
        self._voucher(row.data["voucher_no"]).stages &= Stage.VOUCHERED

    # -- returned, booked, paid back ----------------------------------------------------------------------

    @hears("collection", "CollectionInfoReturned")
    def _return(self, row: Row) -> None:
        data = row.data
        known = self._voucher(data["voucher_no"]).lines
        for position, line in enumerate(data["lines"], data["first_line_no"]):
            number = self.numbers.get(line[0]) if line[0] else None
            if not line[0] and position <= len(known) and known[position - 1] >= 0:
                number = known[position - 1]
            if number is not None:
                self.stages[number] |= Stage.RETURNED
                self.return_line(data["return_no"], position, number)

    def return_line(self, return_no: str, position: int, number: int) -> None:
        """Registration will answer by return and position."""
        returned = self._returned.setdefault(return_no, array("i"))
        returned.extend([-1] * (position - len(returned)))
        returned[position - 1] = number

    def _returned_line(self, row: Row) -> int | None:
        returned = self._returned.get(row.data["return_no"], ())
        position = row.data["line_no"]
        found = returned[position - 1] if 0 < position <= len(returned) else -1
        return found if found >= 0 else None

    @hears("registration", "BookkeepingPosted")
    def _book(self, row: Row) -> None:
        number = self._returned_line(row)
        if number is not None and self.fen[number] == row.data["fen"]:
            self.stages[number] |= Stage.BOOKED

    @hears("registration", "BookkeepingMismatchDetected")
    def _mismatch(self, row: Row) -> None:
        number = self._returned_line(row)
        if number is not None:
            self.stages[number] |= Stage.MISMATCHED

    @hears("collection", "PaymentRefunded")
    def _refund(self, row: Row) -> None:
        number = self.numbers.get(row.data["line_id"])
        if number is not None and self.fen[number] == row.data["fen"]:
            self.stages[number] |= Stage.REFUNDED

    @hears("registration", "BookkeepingReversed")
    def _reverse(self, row: Row) -> None:
        number = self.numbers.get(row.data["payment_line_id"])
        if number is not None and self.fen[number] == row.data["fen"]:
            self.stages[number] |= Stage.REVERSED

    # -- all was heard ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Bring to the lines what is known of their vouchers, declarations and receipts."""
        for declared in self._declared.values():
            for number in declared:
                self.stages[number] |= Stage.DECLARED
        for voucher in self._vouchers.values():
            self._close_voucher(voucher)
        cash = {cell for cell in range(len(self.cells)) if self.cells.channel(cell) == CASH}
        for line_id, number in self.numbers.items():
            owes = self.cell[number] in cash and self.standing[number] != STRAY
            if owes and line_id.rpartition("/")[0] not in self._receipts:
                self.stages[number] |= Stage.UNRECEIPTED

    def _close_voucher(self, voucher: Voucher) -> None:
        """Without its own record a voucher's debit does not say where its legs belong."""
        debited = bool(voucher.stages & Stage.VOUCHERED and voucher.debited_on)
        for number in voucher.lines:
            if number < 0:
                continue
            self.stages[number] |= voucher.stages
            if self.cell[number] == NOT_YET and debited:
                self.cell[number] = self.cells.number(
                    voucher.village, voucher.insurance, voucher.debited_on, GOVERNMENT
                )

    def paid_on(self, number: int) -> str:
        """The payer's own day of a line, ISO."""
        return self.cells.day(self.cell[number])

    def state(self, number: int) -> str:
        """Where a line is, after ``close``; "" for nowhere."""
        channel = self.cells.channel(self.cell[number])
        kind = channel if channel in (CASH, GOVERNMENT) else ""
        return state_of(kind, self.standing[number], self.stages[number])
