"""Every invariant's check: it holds on a sound campaign, and one wrong fact is seen (I-01 to I-32)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from deploy.audit.money import audit_money
from deploy.audit.verify import AuditReport, ReplayedProjection, audit
from shared.policy.pack import Pack
from tests.unit.audit.village import (
    CAMPAIGN,
    LINES,
    PACK,
    PAID,
    ROSTER,
    VILLAGE,
    Village,
    payment,
    sound_village,
    voucher_line,
)

ALL = [f"I-{number:02d}" for number in range(1, 33)]
Plant = Callable[[Village], Any]


def judged(village: Village, since: int = 0, replays: tuple[ReplayedProjection, ...] = ()) -> AuditReport:
    return audit(village.evidence(since), replays)


def violated(report: AuditReport) -> set[str]:
    return {each.id for each in report.invariants if each.violations}


def test_every_invariant_is_checked_and_holds_on_a_sound_campaign() -> None:
    """All 32 have something to look at, nothing is violated, nothing unaccounted."""
    report = judged(sound_village())
    assert [each.id for each in report.invariants] == ALL
    assert {each.id: each.details for each in report.invariants if not each.holds} == {}
    assert all(each.checked for each in report.invariants)
    assert report.clean
    assert report.unaccounted_fen == 0


def receive(village: Village, person: str, died_on: str) -> None:
    """Registration knows a death; collection's received fact comes with the roster's day."""
    village.add(
        "registration",
        f"person:{person}",
        "DeathReported",
        "2019-11-05",
        0,
        person_id=person,
        date=died_on,
        effective=died_on,
    )


def know_death_before_roster(village: Village) -> None:
    name = "liangxian.registration.death_reported.v1"
    village.add("collection", "received:person:p2", name, "2019-10-15", 0, person_id="p2", date="2019-10-14")


def final_with_an_old_amount(village: Village) -> None:
    """p1 was reassessed between the roster's forming and its end."""
    legs = [{"payer": "person", "fen": 13_000}, {"payer": "finance", "fen": 13_000}]
    village.again("ContributionAssessed", 0, version=2, legs=legs)
    stream = f"roster:{CAMPAIGN}:{VILLAGE}"
    village.add("collection", stream, "RosterFinalized", roster_id=ROSTER, version=1)


def twice_on_the_roster(village: Village) -> None:
    twice = [*LINES[:3], LINES[2]]
    village.change("RosterLines", lines=twice)
    village.change("CollectionRosterFormed", count=4, standard_fen=108_000, personal_fen=108_000)


RETURNED_LEG = {
    "person_id": "p3", "year": 2020, "insurance": "medical", "payer": "finance", "fen": 26_000, "reopened": True,
}  # fmt: skip


VIOLATIONS: list[tuple[str, str, Plant]] = [
    (
        "I-01",
        "published digest is not the pack's",
        lambda v: v.change("PolicyPackPublished", digest="0" * 64),
    ),
    ("I-01", "unknown pack", lambda v: v.change("PolicyPackPublished", pack_id="XX-2020")),
    (
        "I-02",
        "amount is not persons x standard",
        lambda v: v.change("CollectionTargetAssigned", amount=731_276_001),
    ),
    ("I-02", "万元 labelled as yuan", lambda v: v.change("CollectionTargetAssigned", unit="YUAN")),
    ("I-03", "a person registered twice", lambda v: v.again("PersonRegistered")),
    ("I-03", "born after registration", lambda v: v.change("PersonRegistered", birth="2030-01-01")),
    ("I-04", "pension at 15", lambda v: v.change("PersonRegistered", birth="2004-10-10")),
    ("I-04", "pension of an enrolled student", lambda v: v.change("PersonRegistered", student=True)),
    ("I-04", "medical without a route", lambda v: v.change("EnrolmentRegistered", route="")),
    (
        "I-05",
        "enrolled over known employee cover",
        lambda v: v.change("EmployeeInsuranceReported", insurance="medical"),
    ),
    (
        "I-05",
        "employee cover learned later and not named",
        lambda v: v.again("EmployeeInsuranceReported", person_id="p1", insurance="medical"),
    ),
    (
        "I-06",
        "identity without a department",
        lambda v: v.change("SpecialIdentityMarked", source_department=""),
    ),
    (
        "I-06",
        "validity ends before it starts",
        lambda v: v.change("SpecialIdentityMarked", valid_to="2019-12-31"),
    ),
    (
        "I-07",
        "money on a virtual household",
        lambda v: v.add(
            "collection", "virtual-household:vh1", "FundsDebited", voucher_no="x", fen=1, at=PAID
        ),
    ),
    (
        "I-08",
        "total is not the sum of lines",
        lambda v: v.change("CollectionRosterFormed", personal_fen=82_001),
    ),
    ("I-08", "a person twice", twice_on_the_roster),
    ("I-08", "a person known dead", know_death_before_roster),
    ("I-08", "final with an old amount", final_with_an_old_amount),
    ("I-09", "closed on its last day", lambda v: v.change("RosterNoticeClosed", closed_on="2019-10-23")),
    ("I-09", "two days only", lambda v: v.change("RosterNoticeStarted", to_date="2019-10-22", days=2)),
    ("I-09", "closed with an open objection", lambda v: v.drop("ObjectionResolutionReceived")),
    (
        "I-09",
        "cash before the notice closed",
        lambda v: v.change("RosterNoticeClosed", closed_on="2019-11-03"),
    ),
    ("I-10", "stamped total differs", lambda v: v.change("SubsidyListSubmitted", stamped_total=2)),
    ("I-10", "verified count differs", lambda v: v.change("SubsidyListVerified", count=2)),
    ("I-10", "a released line without an answer", lambda v: v.drop("SubsidyBeneficiaryImported")),
    ("I-11", "overlap not surfaced", lambda v: v.drop("SubsidyOverlapDetected")),
    (
        "I-11",
        "two full payers",
        lambda v: v.change(
            "SubsidyEntitlementResolved",
            legs=[{"payer": "department", "fen": 26_000}, {"payer": "finance", "fen": 26_000}],
        ),
    ),
    (
        "I-11",
        "a government leg vouchered twice",
        lambda v: v.again("GovernmentLegVouchered", voucher_no="V-2"),
    ),
    (
        "I-12",
        "legs miss the standard",
        lambda v: v.change("ContributionAssessed", legs=[{"payer": "person", "fen": 1}]),
    ),
    (
        "I-12",
        "unequal halves at 60-69",
        lambda v: v.change(
            "ContributionAssessed",
            category="ELDERLY_60_69",
            legs=[{"payer": "person", "fen": 12_999}, {"payer": "finance", "fen": 13_001}],
        ),
    ),
    (
        "I-13",
        "a tier the pack has not",
        lambda v: v.change("ContributionAssessed", 1, tier_yuan=400, standard_fen=40_000),
    ),
    (
        "I-13",
        "the lowest tier by an ordinary person",
        lambda v: v.change("ContributionAssessed", 1, tier_yuan=100, standard_fen=10_000),
    ),
    ("I-14", "charged more than assessed", lambda v: v.change("PaymentReceived", fen=26_001)),
    ("I-14", "an assessment that is not there", lambda v: v.change("PaymentReceived", assessment_version=2)),
    ("I-15", "booked before the treasury", lambda v: v.drop("TreasuryEntryConfirmed")),
    ("I-15", "booked on an earlier day", lambda v: v.change("BookkeepingPosted", booked_on="2019-12-02")),
    ("I-15", "covered without any money", lambda v: v.drop("BookkeepingPosted", 2)),
    ("I-16", "an effective payment after death", lambda v: receive(v, "p1", "2019-11-01")),
    (
        "I-17",
        "two effective payments",
        lambda v: v.again("PaymentReceived", line_id="C-9/1", payment_id="C-9"),
    ),
    (
        "I-17",
        "a line on two obligations",
        lambda v: v.add(
            "collection",
            "obligation:2020:medical:p9",
            "DuplicatePaymentDetected",
            **payment("W-2/1", "WECHAT", "p9", "medical", 26_000),
        ),
    ),
    ("I-18", "agent without a unit account", lambda v: v.change("AgentAuthorized", designated_account="")),
    (
        "I-18",
        "a personal account not flagged",
        lambda v: v.change("DailySettlementDeposited", designated=False),
    ),
    ("I-19", "cash without a receipt", lambda v: v.drop("ReceiptIssued")),
    ("I-19", "receipt of another amount", lambda v: v.change("ReceiptIssued", fen=55_999)),
    ("I-19", "a serial used twice", lambda v: v.again("ReceiptIssued", payment_id="W-1")),
    (
        "I-20",
        "confirmation is not the sum of its lines",
        lambda v: v.change("DailySettlementConfirmed", fen=26_001),
    ),
    ("I-20", "deposit is not what was confirmed", lambda v: v.drop("DailySettlementDeposited", 2)),
    (
        "I-20",
        "entered differs from collected",
        lambda v: v.change("ThreeWayMatchVerified", entered_fen=77_999),
    ),
    ("I-21", "declared and never settled", lambda v: v.drop("SettlementLinesConfirmed")),
    ("I-21", "declared and on no roster", lambda v: v.change("RosterLines", lines=LINES[1:])),
    ("I-21", "total is not the sum", lambda v: v.change("VirtualHouseholdDeclarationSubmitted", fen=56_001)),
    ("I-21", "declared with an open discrepancy", lambda v: v.drop("DailySettlementDiscrepancyResolved")),
    ("I-22", "a late deposit nobody flagged", lambda v: v.drop("SettlementOverdue")),
    (
        "I-22",
        "a shortfall supervision has not seen",
        lambda v: v.drop("ShortfallFlagged").drop("FundRetentionFlagged"),
    ),
    ("I-23", "remitted before debited", lambda v: v.drop("FundsDebited")),
    ("I-23", "another amount debited", lambda v: v.change("FundsDebited", fen=25_999)),
    ("I-23", "a line returned twice", lambda v: v.again("CollectionInfoReturned")),
    ("I-23", "returned before the treasury", lambda v: v.first("CollectionInfoReturned")),
    (
        "I-24",
        "returned is not what was entered",
        lambda v: v.change("CollectionInfoReturned", lines=[voucher_line("C-1/1", "p1", 25_999)]),
    ),
    ("I-24", "a returned line nobody booked", lambda v: v.drop("BookkeepingPosted")),
    ("I-24", "booked with another amount", lambda v: v.change("BookkeepingPosted", fen=25_999)),
    ("I-25", "cover from November", lambda v: v.change("MedicalEntitlementGranted", from_date="2019-11-02")),
    ("I-25", "cover past the year", lambda v: v.change("MedicalEntitlementGranted", to_date="2021-01-31")),
    ("I-26", "another subsidy than the tier's", lambda v: v.change("GovernmentMatchingCredited", fen=6_000)),
    (
        "I-26",
        "a spouse's subsidy nobody noted",
        lambda v: v.add(
            "registration",
            "account:p1",
            "FamilyPlanningSubsidyCredited",
            "2019-12-04",
            0,
            person_id="p1",
            year=2020,
            fen=30_000,
        ),
    ),
    ("I-26", "credited twice", lambda v: v.again("GovernmentMatchingCredited")),
    ("I-27", "submitted more than transferred", lambda v: v.change("SubsidyFundTransferred", fen=25_999)),
    ("I-27", "appropriated more than applied for", lambda v: v.change("SubsidyFundAppropriated", fen=26_001)),
    (
        "I-27",
        "a leg comes back that was never submitted",
        lambda v: v.add("subsidy", "fund:x", "GovernmentLegReturned", **RETURNED_LEG | {"person_id": "p9"}),
    ),
    ("I-27", "submitted twice", lambda v: v.again("GovernmentPaymentSubmitted")),
    ("I-27", "submitted without entitlement", lambda v: v.drop("SubsidyEntitlementResolved")),
    ("I-28", "refund of a part", lambda v: v.change("PaymentRefunded", fen=1)),
    ("I-28", "refund not verified by registration", lambda v: v.drop("RefundVerified")),
    ("I-28", "refund not approved by finance", lambda v: v.drop("RefundApproved")),
    ("I-28", "refunded twice", lambda v: v.again("PaymentRefunded")),
    (
        "I-29",
        "registration books less",
        lambda v: v.change(
            "TotalsReconciled",
            parties={"tax": [3, 78_000], "treasury": [3, 78_000], "registration": [2, 52_000]},
        ),
    ),
    (
        "I-29",
        "finance's statement differs",
        lambda v: v.change(
            "TotalsReconciled",
            1,
            parties={
                "tax": [3, 78_000],
                "treasury": [3, 78_000],
                "registration": [3, 78_000],
                "finance-statement": [3, 77_999],
            },
        ),
    ),
    ("I-29", "the treasury's part is not its entries", lambda v: v.change("TreasuryEntryConfirmed", count=2)),
    ("I-30", "a gap in a stream", lambda v: v.drop("FundsRemitted")),
    ("I-31", "another's stream", lambda v: v.add("subsidy", "obligation:2020:medical:p1", "PaymentReceived")),
    ("I-32", "nobody of 61 is in a band", lambda v: v.change("ContributionAssessed", 1, birth="1958-01-01")),
]


@pytest.mark.parametrize(
    ("invariant", "plant"),
    [(invariant, plant) for invariant, _, plant in VIOLATIONS],
    ids=[f"{invariant} {what}" for invariant, what, _ in VIOLATIONS],
)
def test_a_planted_violation_is_seen(invariant: str, plant: Plant) -> None:
    """One wrong fact; the named invariant is violated and the report is not clean."""
    village = sound_village()
    plant(village)
    report = judged(village)
    assert invariant in violated(report)
    assert not report.clean


def test_every_invariant_has_a_planted_violation() -> None:
    assert {invariant for invariant, _, _ in VIOLATIONS} == set(ALL)


def test_a_projection_that_differs_from_its_replay_violates_i30() -> None:
    report = judged(sound_village(), replays=(ReplayedProjection("collection", "vouchers", 1),))
    assert violated(report) == {"I-30"}


def test_an_invariant_nobody_could_check_counts_as_failed() -> None:
    """Interfaces, report.json: checked 0 fails unless the pack lacks the step."""
    village = sound_village()
    village.drop("SpecialIdentityMarked")
    report = judged(village)
    found = next(each for each in report.invariants if each.id == "I-06")
    assert (found.checked, found.violations, found.holds) == (0, 0, False)
    assert not report.clean


def test_a_pack_without_the_step_makes_it_not_applicable() -> None:
    """DZ-2018 has no virtual households: the clause says why there is nothing to check (D-40)."""
    village = sound_village()
    village.drop("VirtualHouseholdRegistered")
    village.change("CampaignOpened", pack_id="DZ-2018")
    found = next(each for each in judged(village).invariants if each.id == "I-07")
    assert found.checked == 0
    assert found.not_applicable == "DZ-2018 flow, 000:L151-155"
    assert found.holds


def test_since_judges_later_facts_with_the_earlier_ones_as_context() -> None:
    """``verify --since``: a violation before the position is not told again; context is kept."""
    village = sound_village().change("PersonRegistered", birth="2030-01-01")
    assert "I-03" in violated(judged(village))
    report = judged(village, since=5)
    assert "I-03" not in violated(report)
    paid = next(each for each in report.invariants if each.id == "I-14")
    assert (paid.checked, paid.violations) == (3, 0)


def test_an_open_reconciliation_difference_is_shown_beside() -> None:
    """I-29: no silent drop; it is never inside ``unaccounted_fen``."""
    village = sound_village()
    found = {"difference_id": "suspense:1", "insurance": "medical", "fen": 700}
    village.add(
        "collection", "reconciliation:370406-2020:2019-12-03", "ReconciliationDifferenceFound", **found
    )
    money = audit_money(village.evidence())
    assert (money.difference_fen, money.unaccounted_fen) == (700, 0)
    village.add(
        "collection", "reconciliation:370406-2020:2019-12-03", "ReconciliationDifferenceResolved", **found
    )
    assert audit_money(village.evidence()).difference_fen == 0


def test_a_government_leg_rejected_once_stays_in_its_first_day() -> None:
    """Scenario 10: the voucher is debited anew; the outside's book names the first day."""
    village = sound_village()
    voucher = {"voucher_no": "V-gov", "fen": 26_000}
    village.drop("TreasuryEntryConfirmed", 3)
    stream = "voucher:V-gov"
    village.add("collection", stream, "TreasuryEntryRejected", **voucher)
    village.add("collection", stream, "TaxVoucherReissued", **voucher)
    village.add("collection", stream, "FundsDebited", at="2019-12-05T17:30:00+08:00", **voucher)
    village.add("collection", stream, "FundsRemitted", **voucher)
    village.add("collection", stream, "TreasuryEntryConfirmed", village=VILLAGE, **voucher)
    assert audit_money(village.evidence()).unaccounted_fen == 0


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        ("SC-2025", "SC-2025 has no CASH_AGENT"),
        ("YC-2023", "YC-2023 leaves its virtual households open"),
        ("ST-2020", ""),
    ],
)
def test_where_no_agent_takes_cash_nothing_is_declared(pack: str, reason: str) -> None:
    """SC-2025 names no cash channel, YC-2023 no virtual household whose agents could hold cash (D-40, D-42):
    what agents take settles through the channel; elsewhere 0 checked fails."""
    village = sound_village().drop("VirtualHouseholdDeclarationSubmitted")
    village.drop("DeclarationLines").drop("DeclarationLines").change("CampaignOpened", pack_id=pack)
    found = next(each for each in judged(village).invariants if each.id == "I-21")
    assert (found.checked, found.holds) == (0, bool(reason))
    assert found.not_applicable.startswith(reason)
    assert bool(found.not_applicable) == bool(reason)


def test_a_revision_is_judged_by_the_version_it_names() -> None:
    """D-06: each version of a pack has its own digest; one nobody holds is not sound (I-01)."""
    revised = Pack(msgspec.structs.replace(PACK.document, version=2))
    village = sound_village().add(
        "collection",
        f"pack:{PACK.id}",
        "PolicyPackRevised",
        pack_id=PACK.id,
        version=2,
        digest=revised.digest,
    )
    assert "I-01" in violated(judged(village))
    evidence = village.evidence()
    evidence.packs = {**evidence.packs, "revised": revised}
    assert audit(evidence).clean
    village.change("PolicyPackRevised", digest=PACK.digest)
    evidence = village.evidence()
    evidence.packs = {**evidence.packs, "revised": revised}
    assert violated(audit(evidence)) == {"I-01"}


def test_a_leg_that_came_back_may_be_submitted_again() -> None:
    """I-27: collection put it on no voucher; neither the leg nor its money counts twice."""
    village = sound_village()
    fund = next(row.stream for row in village.logs["subsidy"] if row.type == "GovernmentPaymentSubmitted")
    village.add("subsidy", fund, "GovernmentLegReturned", **RETURNED_LEG).again("GovernmentPaymentSubmitted")
    assert "I-27" not in violated(judged(village))


def test_a_spouse_is_credited_once_with_what_was_noted() -> None:
    """I-26, YC-2023: beside the matching subsidy, in a year that is paid for."""
    village = sound_village()
    spouse = {"person_id": "p1", "year": 2020, "fen": 30_000}
    for kind in ("FamilyPlanningSpouseNoted", "FamilyPlanningSubsidyCredited"):
        village.add("registration", "account:p1", kind, "2019-12-04", 0, **spouse)
    assert judged(village).clean
    village.again("FamilyPlanningSubsidyCredited")
    assert violated(judged(village)) == {"I-26"}


@pytest.mark.parametrize(("arrived", "seen"), [(9_600_000, set()), (9_600_001, {"I-27"})])
def test_no_more_fiscal_money_arrives_than_was_appropriated(arrived: int, seen: set[str]) -> None:
    """D-45: claimed from booked heads, appropriated, arrived; never mixed with the personal parts."""
    village, stream = sound_village(), "fiscal-subsidy:370406-2020:MEDICAL_FISCAL"
    village.add("subsidy", stream, "FiscalSubsidyClaimed", heads=300, fen=9_600_000)
    village.add("subsidy", stream, "FiscalSubsidyAppropriated", fen=9_600_000)
    village.add("subsidy", stream, "FiscalSubsidyArrived", fen=arrived)
    assert violated(judged(village)) == seen
