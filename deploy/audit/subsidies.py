"""Invariants of lists, entitlements and government money: I-10, I-11, I-27."""

from __future__ import annotations

from collections import defaultdict

from deploy.audit.evidence import Row
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.obligations import obligation_of
from deploy.audit.policy import GOVERNMENT_PAYERS, government_fen
from deploy.audit.tally import Scope


class I10(Check):
    """Stamped total = number of lines, and verified lists released or failed each of them."""

    id = "I-10"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._lines: dict[str, int] = defaultdict(int)
        self._stated: list[tuple[str, int, str]] = []
        self._released: dict[str, int] = defaultdict(int)
        self._answered: dict[str, int] = defaultdict(int)

    @hears("subsidy", "SubsidyListLinesRecorded")
    def _recorded(self, row: Row) -> None:
        self._lines[row.data["list_id"]] += len(row.data["lines"])

    @hears("subsidy", "SubsidyListSubmitted")
    def _submitted(self, row: Row) -> None:
        if self.tally.judges(row):
            self._stated.append((row.data["list_id"], row.data["stamped_total"], str(row.event_id)))

    @hears("subsidy", "SubsidyListVerified")
    def _verified(self, row: Row) -> None:
        if self.tally.judges(row):
            self._stated.append((row.data["list_id"], row.data["count"], str(row.event_id)))

    @hears("subsidy", "SubsidyLinesReleased")
    def _release(self, row: Row) -> None:
        self._released[row.data["list_id"]] += len(row.data["lines"])

    @hears("registration", "SubsidyBeneficiaryImported", "SubsidyImportFailed")
    def _answer(self, row: Row) -> None:
        self._answered[row.data["list_id"]] += 1

    def close(self) -> None:
        for list_id, count, event_id in self._stated:
            self.tally.see(count == self._lines[list_id], event_id)
        for list_id, count in self._released.items():
            self.tally.see(self._answered[list_id] == count, list_id)


class I11(Check):
    """One government payer per person, insurance and year; its legs never exceed the standard."""

    id = "I-11"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._departments: dict[str, tuple[str, ...]] = {}
        self._overlaps: set[str] = set()
        self._versions: dict[str, int] = {}
        self._vouchered: set[str] = set()

    @hears("subsidy", "SubsidyClaimReceived")
    def _claim(self, row: Row) -> None:
        department = row.data["claim"]["department"]
        known = self._departments.get(row.stream, ())
        if department not in known:
            self._departments[row.stream] = (*known, department)

    @hears("subsidy", "SubsidyOverlapDetected")
    def _overlap(self, row: Row) -> None:
        self._overlaps.add(row.stream)

    @hears("subsidy", "SubsidyEntitlementResolved", "SubsidyEntitlementRevoked")
    def _resolve(self, row: Row) -> None:
        holds = row.data["version"] == self._versions.get(row.stream, 0) + 1
        self._versions[row.stream] = row.data["version"]
        if row.type == "SubsidyEntitlementResolved":
            legs = row.data["legs"]
            payers = [leg["payer"] for leg in legs if leg["payer"] in GOVERNMENT_PAYERS and leg["fen"]]
            once = len(payers) == len(set(payers)) > 0
            holds = holds and once and government_fen(legs) <= row.data["standard_fen"]
        self.tally.see(holds, row)

    @hears("collection", "GovernmentLegVouchered")
    def _voucher(self, row: Row) -> None:
        leg = f"{row.stream} {row.data['payer']}"
        self.tally.see(leg not in self._vouchered, row)
        self._vouchered.add(leg)

    def close(self) -> None:
        """Overlaps surface (D-27)."""
        for stream, departments in self._departments.items():
            if len(departments) > 1:
                self.tally.see(stream in self._overlaps, stream)


class I27(Check):
    """Government lines are entitlements, each once; submitted <= transferred <= appropriated <= applied.

    Of the fiscal subsidies (D-45), which are other money: arrived <= appropriated <= claimed.
    """

    id = "I-27"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._entitled: dict[str, int] = {}
        self._submitted: set[str] = set()
        self._funds: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def _fund(self, row: Row) -> dict[str, int]:
        return self._funds[row.era, row.stream]

    @hears("subsidy", "SubsidyEntitlementResolved", "SubsidyEntitlementRevoked")
    def _resolve(self, row: Row) -> None:
        data = row.data
        leg = obligation_of(data["year"], data["insurance"], data["person_id"])
        self._entitled[leg] = government_fen(data.get("legs", ()))

    @hears("subsidy", "SubsidyFundApplied")
    def _apply(self, row: Row) -> None:
        self._fund(row)["applied"] = row.data["fen"]
        self.tally.see(row.data["fen"] > 0 and row.data["persons"] > 0, row)

    @hears("subsidy", "SubsidyFundAppropriated")
    def _appropriate(self, row: Row) -> None:
        fund = self._fund(row)
        fund["appropriated"] += row.data["fen"]
        self.tally.see(fund["appropriated"] <= fund["applied"], row)

    @hears("subsidy", "SubsidyFundTransferred")
    def _transfer(self, row: Row) -> None:
        fund = self._fund(row)
        fund["transferred"] += row.data["fen"]
        self.tally.see(fund["transferred"] <= fund["appropriated"], row)

    @hears("subsidy", "FiscalSubsidyClaimed", "FiscalSubsidyAppropriated", "FiscalSubsidyArrived")
    def _fiscal(self, row: Row) -> None:
        """A claim restates the whole; what is appropriated and arrives adds up."""
        fund, fen = self._fund(row), row.data["fen"]
        if row.type == "FiscalSubsidyClaimed":
            fund["claimed"] = fen
            self.tally.see(fen >= 0 and row.data["heads"] >= 0, row)
        elif row.type == "FiscalSubsidyAppropriated":
            fund["fiscal"] += fen
            self.tally.see(fund["fiscal"] <= fund["claimed"], row)
        else:
            fund["arrived"] += fen
            self.tally.see(fund["arrived"] <= fund["fiscal"], row)

    @hears("subsidy", "GovernmentLegReturned")
    def _leg_returned(self, row: Row) -> None:
        """A leg collection put on no voucher was submitted once; its money is free again, and so may it be."""
        data = row.data
        leg = obligation_of(data["year"], data["insurance"], data["person_id"])
        self.tally.see(leg in self._submitted, row)
        self._fund(row)["submitted"] -= data["fen"]
        if data["reopened"]:
            self._submitted.discard(leg)

    @hears("subsidy", "GovernmentPaymentSubmitted")
    def _submit(self, row: Row) -> None:
        data, fund = row.data, self._fund(row)
        for line in data["lines"]:
            leg = obligation_of(data["year"], data["insurance"], line["person_id"])
            fund["submitted"] += line["fen"]
            self.tally.see(leg not in self._submitted and self._entitled.get(leg) == line["fen"], row)
            self._submitted.add(leg)
        self.tally.see(fund["submitted"] <= fund["transferred"], row)
