"""Invariants of payments, treasury, bookkeeping and refunds: I-14 to I-17, I-23 to I-26, I-28, I-29."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from deploy.audit.evidence import Evidence, Row, day_of
from deploy.audit.money import RECEIVED_TYPES
from deploy.audit.tally import Invariant, Tally


def check_i14(evidence: Evidence) -> Invariant:
    """The amount charged is the person's share of the assessment version it names, paid once and in full."""
    tally = Tally("I-14")
    assessed = {
        (row.stream, row.data["version"]): sum(
            leg["fen"] for leg in row.data["legs"] if leg["payer"] == "person"
        )
        for row in evidence.collection("ContributionAssessed", "ContributionReassessed")
    }
    for row in evidence.collection("PaymentReceived"):
        expected = assessed.get((row.stream, row.data["assessment_version"]))
        tally.see(expected == row.data["fen"], row.event_id)
    return tally.result()


def check_i15(evidence: Evidence) -> Invariant:
    """Nothing is booked and nobody covered before the money is in the treasury."""
    tally = Tally("I-15")
    entered = {
        row.data["voucher_no"]: day_of(row.data["treasury_date"])
        for row in evidence.collection("TreasuryEntryConfirmed")
    }
    booked: dict[tuple[int, str], int] = {}
    for row in evidence.registration("BookkeepingPosted"):
        arrived = entered.get(row.data["voucher_no"])
        tally.see(arrived is not None and arrived <= day_of(row.data["booked_on"]), row.event_id)
        if row.data["insurance"] == "medical":
            booked.setdefault((row.data["year"], row.data["person_id"]), row.position)
    exempt = {
        (row.data["year"], row.data["person_id"])
        for row in evidence.subsidy("SubsidyEntitlementResolved")
        if row.data["insurance"] == "medical"
    }
    for row in evidence.registration("MedicalEntitlementGranted"):
        key = (row.data["year"], row.data["person_id"])
        tally.see(booked.get(key, row.position + 1) <= row.position or key in exempt, row.event_id)
    return tally.result()


def check_i16(evidence: Evidence) -> Invariant:
    """No payment made after a death that counts stands as effective."""
    tally = Tally("I-16")
    died: dict[str, Any] = {}
    for row in evidence.registration("DeathReported", "DeathReportCorrected"):
        died[row.data["person_id"]] = row.data["effective"]
    standing = _standings(evidence)
    for row in evidence.collection(*RECEIVED_TYPES):
        death = died.get(row.data["person_id"])
        after = death is not None and day_of(row.data["paid_at"]) > day_of(death)
        effective = standing[row.data["line_id"]] == "EFFECTIVE"
        tally.see(not (after and effective), row.event_id)
    return tally.result()


def _standings(evidence: Evidence) -> dict[str, str]:
    standing: dict[str, str] = {}
    for row in evidence.collection(*RECEIVED_TYPES, "PostDeathFindingWithdrawn", "PaymentRefunded"):
        match row.type:
            case "PaymentReceived" | "PostDeathFindingWithdrawn":
                standing[row.data["line_id"]] = "EFFECTIVE"
            case "PaymentRefunded":
                standing[row.data["line_id"]] = "REFUNDED"
            case _:
                standing[row.data["line_id"]] = row.type
    return standing


def check_i17(evidence: Evidence) -> Invariant:
    """At most one effective payment per person, insurance, year and leg; an order's line is recorded once."""
    tally = Tally("I-17")
    standing = _standings(evidence)
    effective: dict[str, int] = defaultdict(int)
    seen: dict[str, str] = {}
    for row in evidence.collection(*RECEIVED_TYPES):
        line_id = row.data["line_id"]
        if line_id not in seen and standing[line_id] == "EFFECTIVE":
            effective[row.stream] += 1
        tally.see(seen.setdefault(line_id, row.stream) == row.stream, row.event_id)
    for stream, count in effective.items():
        tally.see(count == 1, stream)
    return tally.result()


_NEXT = {
    "": ("TaxVoucherIssued",),
    "TaxVoucherIssued": ("FundsDebited",),
    "FundsDebited": ("FundsRemitted",),
    "FundsRemitted": ("TreasuryEntryConfirmed", "TreasuryEntryRejected"),
    "TreasuryEntryRejected": ("TaxVoucherReissued",),
    "TaxVoucherReissued": ("FundsDebited",),
    "TreasuryEntryConfirmed": (),
}


def check_i23(evidence: Evidence) -> Invariant:
    """Vouchers go ISSUED, DEBITED, REMITTED, IN_TREASURY in order; returned only then, each line once."""
    tally = Tally("I-23")
    state: dict[str, str] = defaultdict(str)
    amount: dict[str, int] = {}
    lines: dict[str, set[int]] = defaultdict(set)
    for row in evidence.collection(
        *{step for steps in _NEXT.values() for step in steps}, "CollectionInfoReturned"
    ):
        number = row.data["voucher_no"]
        if row.type == "CollectionInfoReturned":
            first = row.data["first_line_no"]
            numbers = set(range(first, first + len(row.data["lines"])))
            tally.see(state[number] == "TreasuryEntryConfirmed" and not numbers & lines[number], row.event_id)
            lines[number] |= numbers
            continue
        if row.type == "TaxVoucherIssued":
            amount[number] = row.data["fen"]
        holds = row.type in _NEXT[state[number]]
        if row.type in ("FundsDebited", "TreasuryEntryConfirmed"):
            holds = holds and row.data["fen"] == amount.get(number)
        tally.see(holds, row.event_id)
        state[number] = row.type
    return tally.result()


def check_i24(evidence: Evidence) -> Invariant:
    """Per voucher: returned = treasury entry; every returned line is booked or in a named mismatch."""
    tally = Tally("I-24")
    returned: dict[str, int] = defaultdict(int)
    returns: dict[str, tuple[str, int]] = {}
    for row in evidence.collection("CollectionInfoReturned"):
        returned[row.data["voucher_no"]] += sum(line[4] for line in row.data["lines"])
        _, count = returns.get(row.data["return_no"], ("", 0))
        returns[row.data["return_no"]] = (row.data["voucher_no"], count + len(row.data["lines"]))
    for row in evidence.collection("TreasuryEntryConfirmed"):
        tally.see(returned[row.data["voucher_no"]] == row.data["fen"], row.event_id)
    answered: dict[str, set[int]] = defaultdict(set)
    for row in evidence.registration("BookkeepingPosted", "BookkeepingMismatchDetected"):
        answered[row.data["return_no"]].add(row.data["line_no"])
    for return_no, (_, count) in returns.items():
        tally.see(len(answered[return_no]) == count, return_no)
    return tally.result()


def check_i25(evidence: Evidence) -> Invariant:
    """Cover on time starts on 1 January and ends on 31 December; late cover as its special assessment says."""
    tally = Tally("I-25")
    special = {
        (row.data["year"], row.data["person_id"]): row.data
        for row in evidence.registration("SpecialPaymentAssessed")
    }
    for row in evidence.registration("MedicalEntitlementGranted"):
        year = row.data["year"]
        starts, ends = day_of(row.data["from_date"]), day_of(row.data["to_date"])
        holds = (ends.year, ends.month, ends.day) == (year, 12, 31) and starts.year == year
        if (year, row.data["person_id"]) not in special:
            holds = holds and (starts.month, starts.day) == (1, 1)
        tally.see(holds, row.event_id)
    return tally.result()


def check_i26(evidence: Evidence) -> Invariant:
    """The matching subsidy is the pack's for the tier, once per person and year."""
    tally = Tally("I-26")
    tiers = {
        (row.data["year"], row.data["person_id"]): row.data["tier_yuan"]
        for row in evidence.registration("BookkeepingPosted")
        if row.data["insurance"] == "pension"
    }
    seen: set[tuple[int, str]] = set()
    for row in evidence.registration("GovernmentMatchingCredited"):
        key = (row.data["year"], row.data["person_id"])
        pack, tier = evidence.pack_of_year(key[0]), tiers.get(key)
        right = pack is not None and tier in pack.tiers and pack.matching_subsidy(tier) == row.data["fen"]
        tally.see(right and key not in seen, row.event_id)
        seen.add(key)
    return tally.result()


def check_i28(evidence: Evidence) -> Invariant:
    """A refund pays a whole payment once, verified by 人社/医保 and approved by finance before."""
    tally = Tally("I-28")
    amounts = {row.data["line_id"]: row.data["fen"] for row in evidence.collection(*RECEIVED_TYPES)}
    verified = {row.data["refund_no"] for row in evidence.registration("RefundVerified")}
    approved = {row.data["refund_no"] for row in evidence.subsidy("RefundApproved")}
    paid: set[str] = set()
    for row in evidence.collection("PaymentRefunded"):
        line_id, number = row.data["line_id"], row.data["refund_no"]
        holds = amounts.get(line_id) == row.data["fen"] and line_id not in paid
        tally.see(holds and number in verified and number in approved, row.event_id)
        paid.add(line_id)
    return tally.result()


def check_i29(evidence: Evidence) -> Invariant:
    """The last reconciliation of each campaign and insurance is equal among all parties."""
    tally = Tally("I-29")
    latest: dict[tuple[str, str], Row] = {}
    for row in evidence.collection("TotalsReconciled"):
        latest[row.data["campaign"], row.data["insurance"]] = row
    for row in latest.values():
        tally.see(row.data["equal"], row.event_id)
    return tally.result()
