"""Invariants of policy, people, lists and entitlements: I-01 to I-06, I-10 to I-13, I-27, I-32."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

from deploy.audit.evidence import Evidence, Row, day_of
from deploy.audit.tally import Invariant, Tally
from shared.kernel.division import parse_campaign
from shared.kernel.identity import full_years
from shared.policy import check_pack

GOVERNMENT = ("department", "finance")


def check_i01(evidence: Evidence) -> Invariant:
    """Published packs are sound: totals, ascending tiers, late rule."""
    tally = Tally("I-01", evidence)
    for row in evidence.collection("PolicyPackPublished", "PolicyPackRevised"):
        pack = evidence.packs.get(row.data["pack_id"])
        sound = pack is not None and not check_pack(pack)
        if row.type == "PolicyPackPublished" and pack is not None:
            sound = sound and pack.digest == row.data["digest"]
        tally.see(sound, row)
    return tally.result()


def check_i02(evidence: Evidence) -> Invariant:
    """Medical target rows whose scope is everybody: amount = persons x standard; units never mix (D-19)."""
    tally = Tally("I-02", evidence)
    packs = evidence.campaign_packs()
    for row in evidence.collection("CollectionTargetAssigned"):
        data = row.data
        pack = packs.get(data["campaign"])
        holds = pack is not None and data["unit"] in ("FEN", "WAN_YUAN")
        counted = data["unit"] == "FEN" and data["amount"] is not None
        everybody = data["insurance"] == "medical" and data["statistical_scope"] == "ALL"
        if pack is not None and counted and everybody:
            holds = data["amount"] == data["persons"] * pack.standard_fen
        tally.see(holds, row)
    return tally.result()


def check_i03(evidence: Evidence) -> Invariant:
    """One registration per person id; nobody is born after being registered."""
    tally = Tally("I-03", evidence)
    seen: set[str] = set()
    for row in evidence.registration("PersonRegistered"):
        person = row.data["person_id"]
        born = day_of(row.data["birth"])
        tally.see(person not in seen and born <= row.day and row.stream == f"person:{person}", row)
        seen.add(person)
    return tally.result()


def check_i04(evidence: Evidence) -> Invariant:
    """Nobody under 16 and no enrolled student is enrolled in the pension, as the person was known then."""
    tally = Tally("I-04", evidence)
    people: dict[str, Row] = {}
    for row in evidence.registration("PersonRegistered", "PersonIdentityChanged", "EnrolmentRegistered"):
        if row.type != "EnrolmentRegistered":
            people[row.data["person_id"]] = row
            continue
        person = people.get(row.data["person_id"])
        if person is None:
            tally.see(False, row)
        elif row.data["insurance"] == "pension":
            old_enough = full_years(day_of(person.data["birth"]), row.day) >= 16
            tally.see(old_enough and not person.data["student"], row)
        else:
            tally.see(bool(row.data["route"]), row)
    return tally.result()


def check_i05(evidence: Evidence) -> Invariant:
    """No enrolment over employee cover known before it; cover learned later is a named conflict."""
    tally = Tally("I-05", evidence)
    covers: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    enrolled: dict[tuple[str, str], list[Row]] = defaultdict(list)
    named = {row.data["record_no"] for row in evidence.registration("CoverageConflictFound")}
    ended = {
        row.data["record_no"]: row.position
        for row in evidence.registration("EnrolmentCancelled", "EnrolmentTerminatedForRefund")
    }
    for row in evidence.registration("EmployeeInsuranceReported", "EnrolmentRegistered"):
        key = (row.data["person_id"], row.data["insurance"])
        if row.type == "EnrolmentRegistered":
            enrolled[key].append(row)
            tally.see(not any(_overlaps(report, row) for report in covers[key].values()), row)
            continue
        covers[key][row.data["from_date"]] = row
        live = [
            each for each in enrolled[key] if ended.get(each.data["record_no"], row.position) >= row.position
        ]
        tally.see(
            all(each.data["record_no"] in named for each in live if _overlaps(row, each)),
            row,
        )
    return tally.result()


def _overlaps(report: Row, enrolment: Row) -> bool:
    """True when a spell of employee cover meets the period of an enrolment."""
    starts, ends = report.data["from_date"], report.data["to_date"]
    meets: bool = starts <= enrolment.data["period_to"] and (
        ends is None or ends >= enrolment.data["period_from"]
    )
    return meets


def check_i06(evidence: Evidence) -> Invariant:
    """A special identity carries its source department and validity."""
    tally = Tally("I-06", evidence)
    for row in evidence.registration("SpecialIdentityMarked"):
        data = row.data
        tally.see(bool(data["source_department"]) and data["valid_from"] <= data["valid_to"], row)
    return tally.result()


def check_i10(evidence: Evidence) -> Invariant:
    """Stamped total = number of lines, and verified lists released or failed each of them."""
    tally = Tally("I-10", evidence)
    lines: dict[str, int] = defaultdict(int)
    for row in evidence.subsidy("SubsidyListLinesRecorded"):
        lines[row.data["list_id"]] += len(row.data["lines"])
    for row in evidence.subsidy("SubsidyListSubmitted"):
        tally.see(row.data["stamped_total"] == lines[row.data["list_id"]], row)
    for row in evidence.subsidy("SubsidyListVerified"):
        tally.see(row.data["count"] == lines[row.data["list_id"]], row)
    answered: dict[str, int] = defaultdict(int)
    for row in evidence.registration("SubsidyBeneficiaryImported", "SubsidyImportFailed"):
        answered[row.data["list_id"]] += 1
    released: dict[str, int] = defaultdict(int)
    for row in evidence.subsidy("SubsidyLinesReleased"):
        released[row.data["list_id"]] += len(row.data["lines"])
    for list_id, count in released.items():
        tally.see(answered[list_id] == count, list_id)
    return tally.result()


def _government(legs: Any) -> int:
    return sum(leg["fen"] for leg in legs if leg["payer"] in GOVERNMENT)


def check_i11(evidence: Evidence) -> Invariant:
    """One government payer per person, insurance and year; its legs never exceed the standard."""
    tally = Tally("I-11", evidence)
    claims: dict[str, set[str]] = defaultdict(set)
    overlaps = {row.stream for row in evidence.subsidy("SubsidyOverlapDetected")}
    for row in evidence.subsidy("SubsidyClaimReceived"):
        claims[row.stream].add(row.data["claim"]["department"])
    for stream, departments in claims.items():
        if len(departments) > 1:
            tally.see(stream in overlaps, stream)
    versions: dict[str, int] = defaultdict(int)
    for row in evidence.subsidy("SubsidyEntitlementResolved", "SubsidyEntitlementRevoked"):
        holds = row.data["version"] == versions[row.stream] + 1
        versions[row.stream] = row.data["version"]
        if row.type == "SubsidyEntitlementResolved":
            payers = [leg["payer"] for leg in row.data["legs"] if leg["payer"] in GOVERNMENT and leg["fen"]]
            once = len(payers) == len(set(payers)) > 0
            holds = holds and once and _government(row.data["legs"]) <= row.data["standard_fen"]
        tally.see(holds, row)
    paid: set[tuple[str, str]] = set()
    for row in evidence.collection("GovernmentLegVouchered"):
        leg = (row.stream, row.data["payer"])
        tally.see(leg not in paid, row)
        paid.add(leg)
    return tally.result()


def check_i12(evidence: Evidence) -> Invariant:
    """Legs sum to the standard, none negative; 60-69 in equal halves."""
    tally = Tally("I-12", evidence)
    rows = [
        *evidence.collection("ContributionAssessed", "ContributionReassessed"),
        *evidence.subsidy("SubsidyEntitlementResolved"),
    ]
    for row in rows:
        legs = row.data["legs"]
        holds = sum(leg["fen"] for leg in legs) == row.data["standard_fen"]
        holds = holds and all(leg["fen"] >= 0 for leg in legs)
        if row.data["category"] == "ELDERLY_60_69" and len(legs) == 2:
            holds = holds and legs[0]["fen"] == legs[1]["fen"]
        tally.see(holds, row)
    return tally.result()


def check_i13(evidence: Evidence) -> Invariant:
    """Tiers are the pack's; the lowest one only with a government leg or a category."""
    tally = Tally("I-13", evidence)
    packs = evidence.campaign_packs()
    for row in evidence.collection("ContributionAssessed", "ContributionReassessed"):
        data = row.data
        if data["insurance"] != "pension":
            continue
        pack = packs.get(data["campaign"])
        tier = data["tier_yuan"]
        holds = pack is not None and tier in pack.tiers and data["standard_fen"] == tier * 100
        if pack is not None and tier == pack.tiers[0]:
            holds = holds and (bool(data["category"]) or _government(data["legs"]) > 0)
        tally.see(holds, row)
    return tally.result()


def check_i27(evidence: Evidence) -> Invariant:
    """Government lines are entitlements, each once; submitted <= transferred <= appropriated <= applied."""
    tally = Tally("I-27", evidence)
    entitled: dict[tuple[int, str, str], int] = {}
    submitted: set[tuple[int, str, str]] = set()
    funds: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in evidence.subsidy(
        "SubsidyEntitlementResolved",
        "SubsidyEntitlementRevoked",
        "SubsidyFundApplied",
        "SubsidyFundAppropriated",
        "SubsidyFundTransferred",
        "GovernmentPaymentSubmitted",
    ):
        data, fund = row.data, funds[row.era, row.stream]
        match row.type:
            case "SubsidyEntitlementResolved" | "SubsidyEntitlementRevoked":
                leg = (data["year"], data["insurance"], data["person_id"])
                entitled[leg] = _government(data.get("legs", ()))
            case "SubsidyFundApplied":
                fund["applied"] = data["fen"]
                tally.see(data["fen"] > 0 and data["persons"] > 0, row)
            case "SubsidyFundAppropriated":
                fund["appropriated"] += data["fen"]
                tally.see(fund["appropriated"] <= fund["applied"], row)
            case "SubsidyFundTransferred":
                fund["transferred"] += data["fen"]
                tally.see(fund["transferred"] <= fund["appropriated"], row)
            case _:
                for line in data["lines"]:
                    leg = (data["year"], data["insurance"], line["person_id"])
                    fund["submitted"] += line["fen"]
                    tally.see(leg not in submitted and entitled.get(leg) == line["fen"], row)
                    submitted.add(leg)
                tally.see(fund["submitted"] <= fund["transferred"], row)
    return tally.result()


def check_i32(evidence: Evidence) -> Invariant:
    """Pension age bands: everybody assessed falls into exactly one, 45 into 45-59 (D-05)."""
    tally = Tally("I-32", evidence)
    packs = evidence.campaign_packs()
    latest = {
        row.stream: row
        for row in evidence.collection("ContributionAssessed", "ContributionReassessed")
        if row.data["insurance"] == "pension"
    }
    for row in latest.values():
        campaign = row.data["campaign"]
        pack = packs.get(campaign)
        if pack is None:
            tally.see(False, row)
            continue
        age = full_years(day_of(row.data["birth"]), _window_end(pack))
        tally.see(16 <= age <= 60 and parse_campaign(campaign)[1] == pack.insured_year, row)
    return tally.result()


def _window_end(pack: Any) -> dt.date:
    end: dt.date = pack.window("pension").end
    return end
