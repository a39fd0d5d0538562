"""Invariants of bookkeeping and cover: I-15, I-24 to I-26."""

from __future__ import annotations

from array import array
from collections import defaultdict

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.payments import note_death
from deploy.audit.policy import GOVERNMENT_PAYERS
from deploy.audit.tally import Scope


class I15(Check):
    """Nothing is booked and nobody covered before the money is in the treasury.

    Where a plan has none: nobody is entered before the money lies in the fund account (先缴费后录入), but for a
    government leg that counts by its list; nothing is booked before the district confirmed its document.
    """

    id = "I-15"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._entered: dict[str, str] = {}
        self._exempt: set[str] = set()
        self._booked: set[str] = set()
        self._arrived: dict[str, str] = {}

    @hears("collection", "TreasuryEntryConfirmed")
    def _enter(self, row: Row) -> None:
        self._entered[row.data["voucher_no"]] = day_of(row.data["treasury_date"])

    @hears("collection", "PaymentDocumentsConfirmed")
    def _confirm(self, row: Row) -> None:
        self._entered[row.data["document_no"]] = day_of(row.data["confirmed_on"])

    @hears("collection", "FundAccountDeposited")
    def _arrive(self, row: Row) -> None:
        day = day_of(row.data["date"])
        for line in row.data["lines"]:
            leg = f"{row.data['year']} {row.data['insurance']} {line[1]} {line[3]}"
            self._arrived.setdefault(leg, day)

    @hears("registration", "EnrolmentEntered")
    def _entry(self, row: Row) -> None:
        data = row.data
        leg = f"{data['year']} {data['insurance']} {data['person_id']} {data['payer']}"
        by_list = data["payer"] in GOVERNMENT_PAYERS and self._counts_by_list(data["campaign"])
        arrived = self._arrived.get(leg)
        on_time = arrived is not None and arrived <= day_of(data["entered_on"])
        self.tally.see(by_list or on_time, row)

    @hears("subsidy", "SubsidyEntitlementResolved")
    def _resolve(self, row: Row) -> None:
        data = row.data
        if data["insurance"] == "medical" and data["government_fen"] == data["standard_fen"]:
            self._exempt.add(_cover(row))

    def _counts_by_list(self, campaign: str) -> bool:
        """D-52."""
        pack = self.campaigns.packs.get(campaign)
        return pack is not None and pack.gov_paid_effective == "ON_LIST"

    @hears("registration", "BookkeepingPosted")
    def _book(self, row: Row) -> None:
        arrived = self._entered.get(row.data["voucher_no"])
        self.tally.see(arrived is not None and arrived <= day_of(row.data["booked_on"]), row)
        if row.data["insurance"] == "medical":
            self._booked.add(_cover(row))

    @hears("registration", "MedicalEntitlementGranted")
    def _grant(self, row: Row) -> None:
        """In the order of the log: what is booked later covers nobody yet."""
        cover = _cover(row)
        self.tally.see(cover in self._booked or cover in self._exempt, row)


def _cover(row: Row) -> str:
    return f"{row.data['year']} {row.data['person_id']}"


class I24(Check):
    """Per voucher: returned = treasury entry; each returned line is booked as it is, or a named mismatch."""

    id = "I-24"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._sums: dict[str, int] = defaultdict(int)
        self._entered: list[tuple[str, int, str]] = []
        self._lines: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._answered: dict[str, bytearray] = defaultdict(bytearray)

    @hears("collection", "CollectionInfoReturned")
    def _return(self, row: Row) -> None:
        data = row.data
        lines = self._lines[data["return_no"]]
        last = data["first_line_no"] + len(data["lines"])
        lines.extend([-1] * (last - len(lines)))
        for number, line in enumerate(data["lines"], data["first_line_no"]):
            self._sums[data["voucher_no"]] += line[4]
            lines[number] = line[4]

    @hears("collection", "PaymentDocumentLinesConfirmed")
    def _confirm_lines(self, row: Row) -> None:
        """Where a plan has no treasury, what the district confirms is what registration books."""
        data = row.data
        lines = self._lines[data["return_no"]]
        for line in data["lines"]:
            self._sums[data["document_no"]] += line[5]
            lines.extend([-1] * (line[0] + 1 - len(lines)))
            lines[line[0]] = line[5]

    @hears("collection", "TreasuryEntryConfirmed")
    def _enter(self, row: Row) -> None:
        if self.tally.judges(row):
            self._entered.append((row.data["voucher_no"], row.data["fen"], str(row.event_id)))

    @hears("collection", "PaymentDocumentsConfirmed")
    def _confirm(self, row: Row) -> None:
        if self.tally.judges(row):
            self._entered.append((row.data["document_no"], row.data["fen"], str(row.event_id)))

    @hears("registration", "BookkeepingPosted", "BookkeepingMismatchDetected")
    def _answer(self, row: Row) -> None:
        return_no, number = row.data["return_no"], row.data["line_no"]
        lines = self._lines.get(return_no, ())
        returned = lines[number] if 0 < number < len(lines) else -1
        booked = row.type == "BookkeepingPosted"
        self.tally.see(returned >= 0 and (not booked or returned == row.data["fen"]), row)
        if returned >= 0:
            answered = self._answered[return_no]
            answered.extend(bytes(max(0, len(lines) - len(answered))))
            answered[number] = 1

    def close(self) -> None:
        for voucher_no, fen, event_id in self._entered:
            self.tally.see(self._sums[voucher_no] == fen, event_id)
        for return_no, lines in self._lines.items():
            answered = self._answered[return_no]
            for number, fen in enumerate(lines):
                if fen >= 0:
                    found = number < len(answered) and bool(answered[number])
                    self.tally.see(found, "" if found else f"{return_no}/{number}")


class I25(Check):
    """Cover on time starts on 1 January, late cover as its special assessment says; it ends with the year or life."""

    id = "I-25"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._special: dict[tuple[int, str], str] = {}
        self._died: dict[str, str] = {}
        self._odd: list[tuple[int, str, str, str, str]] = []

    @hears("registration", "SpecialPaymentAssessed")
    def _assess(self, row: Row) -> None:
        key = (row.data["year"], row.data["person_id"])
        self._special[key] = day_of(row.data["entitled_from"])

    @hears("registration", "DeathReported", "DeathReportCorrected")
    def _die(self, row: Row) -> None:
        note_death(self._died, row)

    @hears("registration", "MedicalEntitlementGranted")
    def _grant(self, row: Row) -> None:
        year, person = row.data["year"], row.data["person_id"]
        starts, ends = day_of(row.data["from_date"]), day_of(row.data["to_date"])
        if starts == f"{year}-01-01" and ends == f"{year}-12-31":
            self.tally.see(True, row)
        elif self.tally.judges(row):
            self._odd.append((year, person, starts, ends, str(row.event_id)))

    def close(self) -> None:
        for year, person, starts, ends, event_id in self._odd:
            first, last = f"{year}-01-01", f"{year}-12-31"
            late_from = self._special.get((year, person))
            holds = starts == first or (late_from is not None and late_from <= starts <= last)
            self.tally.see(holds and ends in (last, self._died.get(person)), event_id)


class I26(Check):
    """The matching subsidy is the pack's for the tier, once per person and year unless it was taken back.

    So is a spouse's family planning subsidy: as it was noted, with a payment booked that year (YC-2023).
    """

    id = "I-26"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._tiers: dict[str, int | None] = {}
        self._credited: set[str] = set()
        self._noted: dict[str, int] = {}
        self._planned: set[str] = set()

    @hears("registration", "BookkeepingPosted")
    def _book(self, row: Row) -> None:
        if row.data["insurance"] == "pension":
            self._tiers[_cover(row)] = row.data["tier_yuan"]

    @hears("registration", "PensionCreditReversed")
    def _reverse(self, row: Row) -> None:
        self._credited.discard(_cover(row))
        self._planned.discard(_cover(row))

    @hears("registration", "FamilyPlanningSpouseNoted")
    def _note(self, row: Row) -> None:
        self._noted[_cover(row)] = row.data["fen"]

    @hears("registration", "FamilyPlanningSubsidyCredited")
    def _credit_spouse(self, row: Row) -> None:
        cover = _cover(row)
        right = self._noted.get(cover) == row.data["fen"] and cover in self._tiers
        self.tally.see(right and cover not in self._planned, row)
        self._planned.add(cover)

    @hears("registration", "GovernmentMatchingCredited")
    def _credit(self, row: Row) -> None:
        cover = _cover(row)
        pack, tier = self.campaigns.of_year(row.data["year"]), self._tiers.get(cover)
        right = pack is not None and tier in pack.tiers and pack.matching_subsidy(tier) == row.data["fen"]
        self.tally.see(right and cover not in self._credited, row)
        self._credited.add(cover)
