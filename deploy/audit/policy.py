"""Invariants of packs, targets and assessments: I-01, I-02, I-12 to I-14, I-32."""

from __future__ import annotations

import datetime as dt
from typing import Any

from deploy.audit.evidence import Row, day_of
from deploy.audit.hearing import Campaigns, Check, hears
from deploy.audit.obligations import Obligations
from deploy.audit.tally import Scope
from shared.kernel.division import parse_campaign
from shared.kernel.identity import full_years
from shared.policy import check_pack

ASSESSED = ("ContributionAssessed", "ContributionReassessed")
GOVERNMENT_PAYERS = ("department", "finance")


def government_fen(legs: Any) -> int:
    """What government pays of the legs."""
    return sum(leg["fen"] for leg in legs if leg["payer"] in GOVERNMENT_PAYERS)


class I01(Check):
    """Published packs are sound: totals, ascending tiers, late rule."""

    id = "I-01"

    @hears("collection", "PolicyPackPublished", "PolicyPackRevised")
    def _published(self, row: Row) -> None:
        pack = self.campaigns.pack(row.data["pack_id"], row.data.get("version"))
        sound = pack is not None and pack.digest == row.data["digest"] and not check_pack(pack)
        self.tally.see(sound, row)


class I02(Check):
    """Medical target rows whose scope is everybody: amount = persons x standard; units never mix (D-19)."""

    id = "I-02"

    @hears("collection", "CollectionTargetAssigned")
    def _assigned(self, row: Row) -> None:
        data = row.data
        pack = self.campaigns.packs.get(data["campaign"])
        holds = pack is not None and data["unit"] in ("FEN", "WAN_YUAN")
        counted = data["unit"] == "FEN" and data["amount"] is not None
        everybody = data["insurance"] == "medical" and data["statistical_scope"] == "ALL"
        if pack is not None and counted and everybody:
            holds = data["amount"] == data["persons"] * pack.standard_fen
        self.tally.see(holds, row)


class I12(Check):
    """Legs sum to the standard, none negative; 60-69 in equal halves."""

    id = "I-12"

    @hears("collection", *ASSESSED)
    @hears("subsidy", "SubsidyEntitlementResolved")
    def _legs(self, row: Row) -> None:
        legs = row.data["legs"]
        holds = sum(leg["fen"] for leg in legs) == row.data["standard_fen"]
        holds = holds and all(leg["fen"] >= 0 for leg in legs)
        if row.data["category"] == "ELDERLY_60_69" and len(legs) == 2:
            holds = holds and legs[0]["fen"] == legs[1]["fen"]
        self.tally.see(holds, row)


class I13(Check):
    """Tiers are the pack's; the lowest one only with a government leg or a category."""

    id = "I-13"

    @hears("collection", *ASSESSED)
    def _tier(self, row: Row) -> None:
        data = row.data
        if data["insurance"] != "pension":
            return
        pack = self.campaigns.packs.get(data["campaign"])
        tier = data["tier_yuan"]
        holds = pack is not None and tier in pack.tiers and data["standard_fen"] == tier * 100
        if pack is not None and tier == pack.tiers[0]:
            holds = holds and (bool(data["category"]) or government_fen(data["legs"]) > 0)
        self.tally.see(holds, row)


class I14(Check):
    """The amount charged is the person's share of the assessment version it names, paid once and in full."""

    id = "I-14"

    def __init__(self, scope: Scope, campaigns: Campaigns, obligations: Obligations) -> None:
        super().__init__(scope, campaigns)
        self._obligations = obligations

    @hears("collection", "PaymentReceived")
    def _paid(self, row: Row) -> None:
        number = self._obligations.number(row.stream)
        expected = self._obligations.assessed(number, row.data["assessment_version"])
        self.tally.see(expected == row.data["fen"], row)


class I32(Check):
    """Pension age bands: everybody assessed falls into exactly one, 45 into 45-59 (D-05)."""

    id = "I-32"

    def __init__(self, scope: Scope, campaigns: Campaigns) -> None:
        super().__init__(scope, campaigns)
        self._latest: dict[str, str] = {}

    @hears("collection", *ASSESSED)
    def _assessed(self, row: Row) -> None:
        """The newest assessment of an obligation counts: "" when it holds."""
        if row.data["insurance"] == "pension" and self.tally.judges(row):
            self._latest[row.stream] = "" if self._in_a_band(row) else str(row.event_id)

    def _in_a_band(self, row: Row) -> bool:
        campaign = row.data["campaign"]
        pack = self.campaigns.packs.get(campaign)
        if pack is None:
            return False
        age = full_years(dt.date.fromisoformat(day_of(row.data["birth"])), pack.window("pension").end)
        return 16 <= age <= 60 and parse_campaign(campaign)[1] == pack.insured_year

    def close(self) -> None:
        for event_id in self._latest.values():
            self.tally.see(not event_id, event_id)
