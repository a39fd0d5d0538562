"""Invariants of payments, treasury and refunds: I-16, I-17, I-23, I-28, I-29."""

from __future__ import annotations

from array import array
from collections import defaultdict
from typing import Any

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.lines import EFFECTIVE, RECEIVED_TYPES, Lines
from deploy.audit.tally import Scope


class OfLines(Check):
    """A check that looks at the lines, which heard a row before it."""

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines) -> None:
        super().__init__(scope, campaigns)
        self._lines = lines


class _Standing(OfLines):
    """What hears where each payment line stands: effective until a finding or a refund says otherwise."""

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines) -> None:
        super().__init__(scope, campaigns, lines)
        self._refunded: set[int] = set()

    @hears("collection", "PaymentRefunded")
    def _refund(self, row: Row) -> None:
        number = self._lines.number(row.data["line_id"])
        if number is not None:
            self._refunded.add(number)

    def _effective(self, number: int) -> bool:
        return self._lines.standing[number] == EFFECTIVE and number not in self._refunded


class I16(_Standing):
    """No payment made after a death that counts stands as effective."""

    id = "I-16"

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines) -> None:
        super().__init__(scope, campaigns, lines)
        self._died: dict[str, str] = {}

    @hears("collection", *RECEIVED_TYPES)
    def _paid(self, row: Row) -> None:
        if self.tally.judges(row):
            self.tally.count(1)

    @hears("registration", "DeathReported", "DeathReportCorrected")
    def _die(self, row: Row) -> None:
        note_death(self._died, row)

    def close(self) -> None:
        """The dead are few: their obligations, and among all lines those on them."""
        dead = {
            number: self._died[person]
            for stream, number in self._lines.obligations.numbers.items()
            if (person := stream.rpartition(":")[2]) in self._died
        }
        lines = self._lines
        for line_id, number in lines:
            died = dead.get(lines.obligation[number])
            if died is not None and lines.paid_on(number) > died and self._effective(number):
                self.tally.violate(line_id)


def note_death(died: dict[str, str], row: Row) -> None:
    """Keep the day of death that counts now, by person; ISO."""
    if row.data["effective"] is None:
        died.pop(row.data["person_id"], None)
    else:
        died[row.data["person_id"]] = day_of(row.data["effective"])


class I17(_Standing):
    """At most one effective payment per person, insurance, year and leg; an order's line is recorded once."""

    id = "I-17"

    @hears("collection", *RECEIVED_TYPES)
    def _paid(self, row: Row) -> None:
        """``Lines`` gave the line to the obligation that named it first."""
        number = self._lines.number(row.data["line_id"])
        own = number is not None and self._lines.obligation[number] == self._lines.obligations.number(
            row.stream
        )
        self.tally.see(own, row)

    def close(self) -> None:
        effective = array("b", bytes(len(self._lines.obligations.numbers)))
        for _, number in self._lines:
            if self._lines.obligation[number] >= 0 and self._effective(number):
                effective[self._lines.obligation[number]] += 1
        for stream, number in self._lines.obligations.numbers.items():
            if effective[number]:
                self.tally.see(effective[number] == 1, stream)


_NEXT = {
    "": ("TaxVoucherIssued",),
    "TaxVoucherIssued": ("FundsDebited",),
    "FundsDebited": ("FundsRemitted",),
    "FundsRemitted": ("TreasuryEntryConfirmed", "TreasuryEntryRejected"),
    "TreasuryEntryRejected": ("TaxVoucherReissued",),
    "TaxVoucherReissued": ("FundsDebited",),
    "TreasuryEntryConfirmed": (),
}


class I23(Check):
    """Vouchers go ISSUED, DEBITED, REMITTED, IN_TREASURY in order; returned only then, each line once."""

    id = "I-23"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._state: dict[str, str] = defaultdict(str)
        self._amount: dict[str, int] = {}
        self._returned: dict[str, bytearray] = defaultdict(bytearray)

    @hears("collection", *(step for step in _NEXT if step))
    def _step(self, row: Row) -> None:
        number = row.data["voucher_no"]
        if row.type == "TaxVoucherIssued":
            self._amount[number] = row.data["fen"]
        holds = row.type in _NEXT[self._state[number]]
        if row.type in ("FundsDebited", "TreasuryEntryConfirmed"):
            holds = holds and row.data["fen"] == self._amount.get(number)
        self.tally.see(holds, row)
        self._state[number] = row.type

    @hears("collection", "CollectionInfoReturned")
    def _return(self, row: Row) -> None:
        number, first = row.data["voucher_no"], row.data["first_line_no"]
        returned = self._returned[number]
        last = first + len(row.data["lines"])
        returned.extend(bytes(max(0, last - len(returned))))
        once = not any(returned[first:last])
        self.tally.see(self._state[number] == "TreasuryEntryConfirmed" and once, row)
        returned[first:last] = b"\x01" * (last - first)


class I28(OfLines):
    """A refund pays a whole payment once, verified by 人社/医保 and approved by finance before."""

    id = "I-28"

    def __init__(self, scope: Scope, campaigns: Campaigns, lines: Lines) -> None:
        super().__init__(scope, campaigns, lines)
        self._verified: set[str] = set()
        self._approved: set[str] = set()
        self._paid: set[str] = set()
        self._refunds: list[tuple[str, bool, str]] = []

    @hears("registration", "RefundVerified")
    def _verify(self, row: Row) -> None:
        self._verified.add(row.data["refund_no"])

    @hears("subsidy", "RefundApproved")
    def _approve(self, row: Row) -> None:
        self._approved.add(row.data["refund_no"])

    @hears("collection", "PaymentRefunded")
    def _refund(self, row: Row) -> None:
        line_id = row.data["line_id"]
        number = self._lines.number(line_id)
        whole = number is not None and self._lines.fen[number] == row.data["fen"]
        if self.tally.judges(row):
            once = whole and line_id not in self._paid
            self._refunds.append((row.data["refund_no"], once, str(row.event_id)))
        self._paid.add(line_id)

    def close(self) -> None:
        for number, once, event_id in self._refunds:
            self.tally.see(once and number in self._verified and number in self._approved, event_id)


class I29(Check):
    """Reconciled days and months: parties agree after what is in transit; the treasury's part is its entries."""

    id = "I-29"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._entered: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._latest: dict[tuple[str, str], Row] = {}

    @hears("collection", "TreasuryEntryConfirmed")
    def _enter(self, row: Row) -> None:
        for period in (row.data["treasury_date"], row.data["treasury_date"][:7]):
            sums = self._entered[row.data["campaign"], period, row.data["insurance"]]
            sums[0] += row.data["count"]
            sums[1] += row.data["fen"]

    @hears("collection", "PaymentDocumentsConfirmed")
    def _confirm(self, row: Row) -> None:
        """Where a plan has no treasury, the district's confirmations stand for its entries."""
        for period in (row.data["confirmed_on"], row.data["confirmed_on"][:7]):
            sums = self._entered[row.data["campaign"], period, row.data["insurance"]]
            sums[0] += row.data["count"]
            sums[1] += row.data["fen"]

    @hears("collection", "TotalsReconciled")
    def _reconcile(self, row: Row) -> None:
        if self.tally.judges(row):
            self._latest[row.stream, row.data["insurance"]] = row

    def close(self) -> None:
        for row in self._latest.values():
            period = row.stream.rpartition(":")[2]
            parties = {name: list(total) for name, total in row.data["parties"].items()}
            treasury = self._entered[row.data["campaign"], period, row.data["insurance"]]
            agreed = _agree(parties, row.data["in_transit_fen"])
            self.tally.see(agreed and parties.get("treasury") == treasury, str(row.event_id))


def _agree(parties: dict[str, Any], in_transit_fen: int) -> bool:
    """True when all count and sum alike; registration may lack exactly what is in transit."""
    others = [total for name, total in parties.items() if name != "registration"]
    booked = parties.get("registration")
    alike = all(total == others[0] for total in others)
    if booked is None or not in_transit_fen:
        return alike and booked in (None, others[0])
    return bool(alike and booked[1] + in_transit_fen == others[0][1])
