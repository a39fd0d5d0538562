"""Invariants of payments, treasury, bookkeeping and refunds: I-14 to I-17, I-23 to I-26, I-28, I-29."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from deploy.audit.evidence import Evidence, Row, day_of
from deploy.audit.money import RECEIVED_TYPES
from deploy.audit.tally import Invariant, Tally


def check_i14(evidence: Evidence) -> Invariant:
    """The amount charged is the person's share of the assessment version it names, paid once and in full."""
    tally = Tally("I-14", evidence)
    assessed = {
        (row.stream, row.data["version"]): sum(
            leg["fen"] for leg in row.data["legs"] if leg["payer"] == "person"
        )
        for row in evidence.collection("ContributionAssessed", "ContributionReassessed")
    }
    for row in evidence.collection("PaymentReceived"):
        expected = assessed.get((row.stream, row.data["assessment_version"]))
        tally.see(expected == row.data["fen"], row)
    return tally.result()


def check_i15(evidence: Evidence) -> Invariant:
    """Nothing is booked and nobody covered before the money is in the treasury."""
    tally = Tally("I-15", evidence)
    entered = {
        row.data["voucher_no"]: day_of(row.data["treasury_date"])
        for row in evidence.collection("TreasuryEntryConfirmed")
    }
    booked: dict[tuple[int, str], int] = {}
    for row in evidence.registration("BookkeepingPosted"):
        arrived = entered.get(row.data["voucher_no"])
        tally.see(arrived is not None and arrived <= day_of(row.data["booked_on"]), row)
        if row.data["insurance"] == "medical":
            booked.setdefault((row.data["year"], row.data["person_id"]), row.position)
    exempt = {
        (row.data["year"], row.data["person_id"])
        for row in evidence.subsidy("SubsidyEntitlementResolved")
        if row.data["insurance"] == "medical" and row.data["government_fen"] == row.data["standard_fen"]
    }
    for row in evidence.registration("MedicalEntitlementGranted"):
        key = (row.data["year"], row.data["person_id"])
        tally.see(booked.get(key, row.position + 1) <= row.position or key in exempt, row)
    return tally.result()


def check_i16(evidence: Evidence) -> Invariant:
    """No payment made after a death that counts stands as effective."""
    tally = Tally("I-16", evidence)
    died = _effective_deaths(evidence)
    standing = _standings(evidence)
    for row in evidence.collection(*RECEIVED_TYPES):
        death = died.get(row.data["person_id"])
        after = death is not None and day_of(row.data["paid_at"]) > death
        effective = standing[row.data["line_id"]] == "EFFECTIVE"
        tally.see(not (after and effective), row)
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
    tally = Tally("I-17", evidence)
    standing = _standings(evidence)
    effective: dict[str, int] = defaultdict(int)
    seen: dict[str, str] = {}
    for row in evidence.collection(*RECEIVED_TYPES):
        line_id = row.data["line_id"]
        if line_id not in seen and standing[line_id] == "EFFECTIVE":
            effective[row.stream] += 1
        tally.see(seen.setdefault(line_id, row.stream) == row.stream, row)
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
    tally = Tally("I-23", evidence)
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
            tally.see(state[number] == "TreasuryEntryConfirmed" and not numbers & lines[number], row)
            lines[number] |= numbers
            continue
        if row.type == "TaxVoucherIssued":
            amount[number] = row.data["fen"]
        holds = row.type in _NEXT[state[number]]
        if row.type in ("FundsDebited", "TreasuryEntryConfirmed"):
            holds = holds and row.data["fen"] == amount.get(number)
        tally.see(holds, row)
        state[number] = row.type
    return tally.result()


def check_i24(evidence: Evidence) -> Invariant:
    """Per voucher: returned = treasury entry; each returned line is booked as it is, or a named mismatch."""
    tally = Tally("I-24", evidence)
    returned: dict[str, int] = defaultdict(int)
    lines: dict[tuple[str, int], int] = {}
    for row in evidence.collection("CollectionInfoReturned"):
        data = row.data
        for number, line in enumerate(data["lines"], data["first_line_no"]):
            returned[data["voucher_no"]] += line[4]
            lines[data["return_no"], number] = line[4]
    for row in evidence.collection("TreasuryEntryConfirmed"):
        tally.see(returned[row.data["voucher_no"]] == row.data["fen"], row)
    answers: dict[tuple[str, int], int] = {}
    for row in evidence.registration("BookkeepingMismatchDetected", "BookkeepingPosted"):
        line_key = (row.data["return_no"], row.data["line_no"])
        booked = row.type == "BookkeepingPosted"
        tally.see(line_key in lines and (not booked or lines[line_key] == row.data["fen"]), row)
        answers[line_key] = row.position
    for return_no, number in lines:
        tally.see((return_no, number) in answers, f"{return_no}/{number}")
    return tally.result()


def check_i25(evidence: Evidence) -> Invariant:
    """Cover on time starts on 1 January, late cover as its special assessment says; it ends with the year or life."""
    tally = Tally("I-25", evidence)
    special = {
        (row.data["year"], row.data["person_id"]): day_of(row.data["entitled_from"])
        for row in evidence.registration("SpecialPaymentAssessed")
    }
    died = _effective_deaths(evidence)
    for row in evidence.registration("MedicalEntitlementGranted"):
        year, person = row.data["year"], row.data["person_id"]
        first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
        starts, ends = day_of(row.data["from_date"]), day_of(row.data["to_date"])
        late_from = special.get((year, person))
        holds = starts == first or (late_from is not None and late_from <= starts <= last)
        tally.see(holds and ends in (last, died.get(person)), row)
    return tally.result()


def _effective_deaths(evidence: Evidence) -> dict[str, dt.date]:
    """Date of death that counts now, by person."""
    died: dict[str, dt.date] = {}
    for row in evidence.registration("DeathReported", "DeathReportCorrected"):
        if row.data["effective"] is None:
            died.pop(row.data["person_id"], None)
        else:
            died[row.data["person_id"]] = day_of(row.data["effective"])
    return died


def check_i26(evidence: Evidence) -> Invariant:
    """The matching subsidy is the pack's for the tier, once per person and year unless it was taken back."""
    tally = Tally("I-26", evidence)
    tiers = {
        (row.data["year"], row.data["person_id"]): row.data["tier_yuan"]
        for row in evidence.registration("BookkeepingPosted")
        if row.data["insurance"] == "pension"
    }
    seen: set[tuple[int, str]] = set()
    for row in evidence.registration("GovernmentMatchingCredited", "PensionCreditReversed"):
        key = (row.data["year"], row.data["person_id"])
        if row.type == "PensionCreditReversed":
            seen.discard(key)
            continue
        pack, tier = evidence.pack_of_year(key[0]), tiers.get(key)
        right = pack is not None and tier in pack.tiers and pack.matching_subsidy(tier) == row.data["fen"]
        tally.see(right and key not in seen, row)
        seen.add(key)
    return tally.result()


def check_i28(evidence: Evidence) -> Invariant:
    """A refund pays a whole payment once, verified by 人社/医保 and approved by finance before."""
    tally = Tally("I-28", evidence)
    amounts = {row.data["line_id"]: row.data["fen"] for row in evidence.collection(*RECEIVED_TYPES)}
    verified = {row.data["refund_no"] for row in evidence.registration("RefundVerified")}
    approved = {row.data["refund_no"] for row in evidence.subsidy("RefundApproved")}
    paid: set[str] = set()
    for row in evidence.collection("PaymentRefunded"):
        line_id, number = row.data["line_id"], row.data["refund_no"]
        holds = amounts.get(line_id) == row.data["fen"] and line_id not in paid
        tally.see(holds and number in verified and number in approved, row)
        paid.add(line_id)
    return tally.result()


def check_i29(evidence: Evidence) -> Invariant:
    """Reconciled days and months: parties agree after what is in transit; the treasury's part is its entries."""
    tally = Tally("I-29", evidence)
    entered: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in evidence.collection("TreasuryEntryConfirmed"):
        for period in (row.data["treasury_date"], row.data["treasury_date"][:7]):
            sums = entered[row.data["campaign"], period, row.data["insurance"]]
            sums[0] += row.data["count"]
            sums[1] += row.data["fen"]
    latest: dict[tuple[str, str], Row] = {}
    for row in evidence.collection("TotalsReconciled"):
        latest[row.stream, row.data["insurance"]] = row
    for row in latest.values():
        period = row.stream.rpartition(":")[2]
        parties = {name: list(total) for name, total in row.data["parties"].items()}
        treasury = entered[row.data["campaign"], period, row.data["insurance"]]
        tally.see(parties.get("treasury") == treasury and _agree(parties, row.data["in_transit_fen"]), row)
    return tally.result()


def _agree(parties: dict[str, list[int]], in_transit_fen: int) -> bool:
    """True when all count and sum alike; registration may lack exactly what is in transit."""
    others = [total for name, total in parties.items() if name != "registration"]
    booked = parties.get("registration")
    alike = all(total == others[0] for total in others)
    if booked is None or not in_transit_fen:
        return alike and booked in (None, others[0])
    return alike and booked[1] + in_transit_fen == others[0][1]
