"""A small campaign as rows of four logs in which every invariant holds; tests break it one fact at a time.

Three people of one village: p1 pays medical (260 yuan) and pension (300) in cash, p2 pays medical by WeChat twice
and is refunded once, p3 is on a list and wholly paid by government.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from deploy.audit.evidence import (
    SERVICES,
    BankDeposit,
    Books,
    Evidence,
    RefundPaid,
    Row,
    Takings,
    TreasuryEntry,
)
from shared.kernel.clock import SHANGHAI
from shared.policy import load_packs

PACKS = load_packs()
PACK = PACKS["ST-2020"]
CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
PEOPLE = {"p1": "1975-05-01", "p2": "1980-05-01", "p3": "1970-05-01"}
DAY = "2019-11-02"
PAID = "2019-11-02T10:15:00+08:00"
ROSTER = f"{CAMPAIGN}.{VILLAGE}"


class Village:
    """Rows by service; ``books`` is what the outside has."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Row]] = {name: [] for name in SERVICES}
        self._versions: dict[tuple[str, int, str], int] = {}
        self.books = Books(
            (
                Takings(VILLAGE, "medical", dt.date(2019, 11, 2), "CASH_AGENT", 1, 26_000),
                Takings(VILLAGE, "pension", dt.date(2019, 11, 2), "CASH_AGENT", 1, 30_000),
                Takings(VILLAGE, "medical", dt.date(2019, 11, 2), "WECHAT", 2, 52_000),
                Takings("", "medical", dt.date(2019, 12, 2), "GOVERNMENT", 1, 26_000),
            ),
            (BankDeposit("S1", 26_000), BankDeposit("S2", 29_000), BankDeposit("S3", 1_000)),
            tuple(TreasuryEntry(number, fen) for number, fen in VOUCHERS.items()),
            (RefundPaid("W-2/1", 26_000),),
        )

    def add(
        self, service: str, stream: str, kind: str, day: str = DAY, era: int = 2020, /, **data: Any
    ) -> Village:
        """Append a row to its stream."""
        log = self.logs[service]
        key = (service, era, stream)
        self._versions[key] = self._versions.get(key, 0) + 1
        at = dt.datetime.fromisoformat(f"{day}T09:00:00+08:00").astimezone(SHANGHAI)
        number = len(log) + 1
        log.append(Row(number, f"{service[:3]}-{number}", era, stream, self._versions[key], kind, data, at))
        return self

    def _place(self, kind: str, nth: int) -> tuple[list[Row], int]:
        found = [
            (log, index) for log in self.logs.values() for index, row in enumerate(log) if row.type == kind
        ]
        return found[nth]

    def change(self, kind: str, nth: int = 0, /, **data: Any) -> Village:
        """Give the nth event of a type other data."""
        log, index = self._place(kind, nth)
        log[index] = _with(log[index], {**log[index].data, **data})
        return self

    def again(self, kind: str, nth: int = 0, /, **data: Any) -> Village:
        """Append the nth event of a type once more to its stream, with some of its data changed."""
        log, index = self._place(kind, nth)
        row = log[index]
        service = next(name for name, rows in self.logs.items() if rows is log)
        return self.add(service, row.stream, row.type, row.day, row.era, **{**row.data, **data})

    def drop(self, kind: str, nth: int = 0) -> Village:
        """Take an event out of its log."""
        log, index = self._place(kind, nth)
        del log[index]
        return self

    def first(self, kind: str, nth: int = 0) -> Village:
        """Move an event in front of its log."""
        log, index = self._place(kind, nth)
        log.insert(0, log.pop(index))
        for number, row in enumerate(log, 1):
            log[number - 1] = Row(
                number, row.event_id, row.era, row.stream, row.version, row.type, row.data, row.occurred_at
            )
        return self

    def evidence(self, since: int = 0) -> Evidence:
        """What an audit reads."""
        return Evidence({name: tuple(rows) for name, rows in self.logs.items()}, self.books, PACKS, since)


def _with(row: Row, data: Mapping[str, Any]) -> Row:
    return Row(row.position, row.event_id, row.era, row.stream, row.version, row.type, data, row.occurred_at)


VOUCHERS = {"V-med": 26_000, "V-pen": 30_000, "V-we": 26_000, "V-gov": 26_000}


def sound_village() -> Village:
    """The campaign in which every invariant holds."""
    village = Village()
    _people(village)
    _campaign(village)
    _lists(village)
    _assessments(village)
    _roster(village)
    _payments(village)
    _settlement(village)
    _treasury(village)
    _booking(village)
    _refund(village)
    _reconciliation(village)
    return village


def _people(village: Village) -> None:
    for person, birth in PEOPLE.items():
        village.add(
            "registration", f"person:{person}", "PersonRegistered", "2019-10-08", 0,
            person_id=person, birth=birth, student=False,
        )  # fmt: skip
    village.add(
        "registration", "person:p2", "EmployeeInsuranceReported", "2019-10-08", 0,
        person_id="p2", insurance="pension", from_date="2019-01-01", to_date=None,
    )  # fmt: skip
    for person, insurance in (("p1", "medical"), ("p1", "pension"), ("p2", "medical"), ("p3", "medical")):
        village.add(
            "registration", f"enrolment:{insurance}:{person}", "EnrolmentRegistered", "2019-10-09",
            person_id=person, insurance=insurance, record_no=f"{insurance}-2020-{person}", route="HUKOU",
            period_from="2020-01-01", period_to="2020-12-31",
        )  # fmt: skip


def _campaign(village: Village) -> None:
    village.add(
        "collection", f"pack:{PACK.id}", "PolicyPackPublished", "2019-10-01", 0,
        pack_id=PACK.id, version=1, digest=PACK.digest, campaign=CAMPAIGN,
    )  # fmt: skip
    village.add(
        "collection", f"campaign:{CAMPAIGN}", "CampaignOpened", "2019-10-01",
        campaign=CAMPAIGN, pack_id=PACK.id, pack_version=1, year=2020,
    )  # fmt: skip
    village.add(
        "collection", f"campaign:{CAMPAIGN}", "CollectionTargetAssigned", "2019-10-01", campaign=CAMPAIGN,
        insurance="medical", persons=28_126, amount=731_276_000, unit="FEN", statistical_scope="ALL",
    )  # fmt: skip
    village.add(
        "collection", "virtual-household:vh1", "VirtualHouseholdRegistered", "2019-10-10",
        campaign=CAMPAIGN, virtual_household_id="vh1", mode="FULL",
    )  # fmt: skip
    village.add(
        "collection", f"agent:a1:{CAMPAIGN}", "AgentAuthorized", "2019-10-10",
        agent_id="a1", campaign=CAMPAIGN, village=VILLAGE, designated_account="unit-1",
    )  # fmt: skip


GOVERNMENT_LEGS = [{"payer": "person", "fen": 0}, {"payer": "finance", "fen": 26_000}]


def _lists(village: Village) -> None:
    entitlement = "subsidy-entitlement:2020:medical:p3"
    for department, number in (("CIVIL_AFFAIRS", "L1"), ("DISABLED_FEDERATION", "L2")):
        line = {"line_no": 1, "person_id": "p3", "valid_from": "2020-01-01", "error": ""}
        listed = {"list_id": number, "department": department}
        village.add(
            "subsidy", f"list:{number}", "SubsidyListSubmitted", "2019-10-12", **listed, stamped_total=1
        )
        village.add(
            "subsidy", f"list:{number}", "SubsidyListLinesRecorded", "2019-10-12", **listed, lines=[line]
        )
        village.add("subsidy", f"list:{number}", "SubsidyListVerified", "2019-10-13", **listed, count=1)
        village.add("subsidy", f"list:{number}", "SubsidyLinesReleased", "2019-10-13", **listed, lines=[line])
        village.add(
            "registration", "enrolment:medical:p3", "SubsidyBeneficiaryImported", "2019-10-13",
            person_id="p3", line_no=1, **listed,
        )  # fmt: skip
        village.add("subsidy", entitlement, "SubsidyClaimReceived", "2019-10-13", claim=listed)
    village.add(
        "registration", "enrolment:medical:p3", "SpecialIdentityMarked", "2019-10-13", person_id="p3",
        source_department="CIVIL_AFFAIRS", valid_from="2020-01-01", valid_to="2020-12-31",
    )  # fmt: skip
    village.add("subsidy", entitlement, "SubsidyOverlapDetected", "2019-10-13", person_id="p3")
    village.add(
        "subsidy", entitlement, "SubsidyEntitlementResolved", "2019-10-13", person_id="p3",
        insurance="medical", year=2020, version=1, category="MINIMUM_LIVING", standard_fen=26_000,
        government_fen=26_000, legs=GOVERNMENT_LEGS,
    )  # fmt: skip
    fund = "fund:CIVIL_AFFAIRS:370406-2020:PERSONAL_PART"
    village.add("subsidy", fund, "SubsidyFundApplied", "2019-11-20", persons=1, fen=26_000)
    village.add("subsidy", fund, "SubsidyFundAppropriated", "2019-11-22", fen=26_000)
    village.add("subsidy", fund, "SubsidyFundTransferred", "2019-11-24", fen=26_000)
    village.add(
        "subsidy", fund, "GovernmentPaymentSubmitted", "2019-11-26", year=2020, insurance="medical",
        lines=[{"person_id": "p3", "village": VILLAGE, "payer": "finance", "fen": 26_000}],
    )  # fmt: skip


def _assessments(village: Village) -> None:
    for person, insurance, fen, tier in (
        ("p1", "medical", 26_000, None),
        ("p1", "pension", 30_000, 300),
        ("p2", "medical", 26_000, None),
        ("p3", "medical", 26_000, None),
    ):
        exempt = person == "p3"
        village.add(
            "collection", f"obligation:2020:{insurance}:{person}", "ContributionAssessed", "2019-10-14",
            version=1, person_id=person, insurance=insurance, year=2020, campaign=CAMPAIGN, village=VILLAGE,
            birth=PEOPLE[person], standard_fen=fen, tier_yuan=tier,
            category="MINIMUM_LIVING" if exempt else "",
            legs=GOVERNMENT_LEGS if exempt else [{"payer": "person", "fen": fen}],
        )  # fmt: skip


LINES = [
    ["p1", "medical", 26_000, 26_000, "", 1],
    ["p1", "pension", 30_000, 30_000, "", 1],
    ["p2", "medical", 26_000, 26_000, "", 1],
    ["p3", "medical", 26_000, 0, "MINIMUM_LIVING", 1],
]


def _roster(village: Village) -> None:
    stream = f"roster:{CAMPAIGN}:{VILLAGE}"
    totals = {"count": 4, "standard_fen": 108_000, "personal_fen": 82_000}
    village.add(
        "collection", stream, "CollectionRosterFormed", "2019-10-20", roster_id=ROSTER, version=1, **totals
    )
    village.add(
        "collection", stream, "RosterLines", "2019-10-20",
        roster_id=ROSTER, version=1, supplement=0, part=1, lines=LINES,
    )  # fmt: skip
    notice = {"notice_id": "N-ROSTER", "campaign": CAMPAIGN, "village": VILLAGE}
    village.add(
        "notification", "notice:N-ROSTER", "RosterNoticeStarted", "2019-10-21", **notice,
        from_date="2019-10-21", to_date="2019-10-23", days=3,
    )  # fmt: skip
    objection = {**notice, "objection_id": "O1"}
    village.add("notification", "notice:N-ROSTER", "RosterObjectionRaised", "2019-10-22", **objection)
    village.add("notification", "notice:N-ROSTER", "ObjectionResolutionReceived", "2019-10-23", **objection)
    village.add(
        "notification", "notice:N-ROSTER", "RosterNoticeClosed", "2019-10-24",
        **notice, closed_on="2019-10-24",
    )  # fmt: skip


def payment(line_id: str, channel: str, person: str, insurance: str, fen: int) -> dict[str, Any]:
    """Data of a payment line."""
    return {
        "payment_id": line_id.partition("/")[0], "line_id": line_id, "channel": channel, "person_id": person,
        "insurance": insurance, "year": 2020, "campaign": CAMPAIGN, "village": VILLAGE, "fen": fen,
        "assessment_version": 1, "paid_at": PAID,
    }  # fmt: skip


def _payments(village: Village) -> None:
    for line_id, channel, person, insurance, fen in (
        ("C-1/1", "CASH_AGENT", "p1", "medical", 26_000),
        ("C-1/2", "CASH_AGENT", "p1", "pension", 30_000),
        ("W-1/1", "WECHAT", "p2", "medical", 26_000),
    ):
        village.add(
            "collection", f"obligation:2020:{insurance}:{person}", "PaymentReceived",
            **payment(line_id, channel, person, insurance, fen),
        )  # fmt: skip
    village.add(
        "collection", "obligation:2020:medical:p2", "DuplicatePaymentDetected",
        **payment("W-2/1", "WECHAT", "p2", "medical", 26_000),
    )  # fmt: skip
    village.add(
        "collection", "receipt:B1:000001", "ReceiptIssued",
        book_no="B1", serial_no="000001", payment_id="C-1", fen=56_000,
    )  # fmt: skip


def source(insurance: str, name: str = "a1", kind: str = "AGENT") -> dict[str, Any]:
    """Which settlement: village, source, day, insurance."""
    return {
        "campaign": CAMPAIGN, "village": VILLAGE, "source": name, "kind": kind, "date": DAY,
        "insurance": insurance,
    }  # fmt: skip


def _settlement(village: Village) -> None:
    """The pension slip is 10 yuan short; the rest is deposited a day later, so it is overdue as well."""
    stream = f"settlement:{CAMPAIGN}:{VILLAGE}:{DAY}"
    slip = {"designated": True, "deposited_on": DAY}
    village.add(
        "collection",
        stream,
        "DailySettlementDeposited",
        **source("medical"),
        **slip,
        slip_no="S1",
        fen=26_000,
    )
    village.add(
        "collection",
        stream,
        "DailySettlementDeposited",
        **source("pension"),
        **slip,
        slip_no="S2",
        fen=29_000,
    )
    village.add(
        "collection", stream, "DailySettlementDiscrepancyDetected", **source("pension"), diff_fen=-1_000
    )
    village.add(
        "collection", stream, "SettlementOverdue", "2019-11-03", **source("pension"), days=1, fen=30_000
    )
    late = {"designated": True, "deposited_on": "2019-11-03", "slip_no": "S3", "fen": 1_000}
    village.add("collection", stream, "DailySettlementDeposited", "2019-11-03", **source("pension"), **late)
    village.add("collection", stream, "DailySettlementDiscrepancyResolved", "2019-11-03", **source("pension"))
    wechat = f"settlement:{CAMPAIGN}:WECHAT:{DAY}"
    for where, origin, lines, fen in (
        (stream, source("medical"), ["C-1/1"], 26_000),
        (stream, source("pension"), ["C-1/2"], 30_000),
        (wechat, source("medical", "WECHAT", "CHANNEL"), ["W-1/1", "W-2/1"], 52_000),
    ):
        village.add(
            "collection", where, "SettlementLinesConfirmed", "2019-11-03", **origin, batch=1, lines=lines
        )
        village.add(
            "collection", where, "DailySettlementConfirmed", "2019-11-03",
            **origin, batch=1, count=len(lines), fen=fen,
        )  # fmt: skip
    for rule in ("FundRetentionFlagged", "ShortfallFlagged"):
        village.add(
            "notification", f"case:{rule}", rule, "2019-11-03",
            village=VILLAGE, subject="a1", date=DAY, insurance="pension",
        )  # fmt: skip


def voucher_line(line_id: str, person: str, fen: int, payer: str = "person") -> list[Any]:
    """A line of a declaration, voucher or return."""
    return [line_id, person, VILLAGE, payer, fen, fen, PAID, None, ""]


VOUCHER_LINES = {
    "V-med": ("medical", voucher_line("C-1/1", "p1", 26_000), "DECLARATION"),
    "V-pen": ("pension", voucher_line("C-1/2", "p1", 30_000), "DECLARATION"),
    "V-we": ("medical", voucher_line("W-1/1", "p2", 26_000), "CHANNEL"),
    "V-gov": ("medical", voucher_line("", "p3", 26_000, "finance"), "GOVERNMENT"),
}


def _treasury(village: Village) -> None:
    for number in ("V-med", "V-pen"):
        insurance, line, _ = VOUCHER_LINES[number]
        village.add(
            "collection", "declaration:D-1", "DeclarationLines", "2019-11-26",
            declaration_no="D-1", insurance=insurance, part=1, lines=[line],
        )  # fmt: skip
    village.add(
        "collection", "declaration:D-1", "VirtualHouseholdDeclarationSubmitted", "2019-11-26",
        declaration_no="D-1", campaign=CAMPAIGN, village=VILLAGE, count=2, fen=56_000,
    )  # fmt: skip
    for number, (insurance, line, origin) in VOUCHER_LINES.items():
        stream, fen = f"voucher:{number}", line[4]
        village_of = VILLAGE if origin == "DECLARATION" else ""
        named = {"voucher_no": number, "campaign": CAMPAIGN, "village": village_of, "insurance": insurance}
        village.add(
            "collection", stream, "VoucherLines", "2019-11-27", voucher_no=number, part=1, lines=[line]
        )
        village.add(
            "collection", stream, "TaxVoucherIssued", "2019-11-27", **named, source=origin, count=1, fen=fen
        )
        village.add(
            "collection", stream, "FundsDebited", "2019-12-02",
            voucher_no=number, fen=fen, at="2019-12-02T17:30:00+08:00",
        )  # fmt: skip
        village.add("collection", stream, "FundsRemitted", "2019-12-02", voucher_no=number)
        village.add(
            "collection", stream, "TreasuryEntryConfirmed", "2019-12-03", **named,
            treasury_date="2019-12-03", count=1, fen=fen,
        )  # fmt: skip
        village.add(
            "collection", stream, "CollectionInfoReturned", "2019-12-03", **named,
            return_no=f"R-{number}", first_line_no=1, lines=[line],
        )  # fmt: skip
    village.add(
        "collection", "obligation:2020:medical:p3", "GovernmentLegVouchered", "2019-11-27",
        person_id="p3", payer="finance", fen=26_000, voucher_no="V-gov",
    )  # fmt: skip


def _booking(village: Village) -> None:
    for number, (insurance, line, _) in VOUCHER_LINES.items():
        village.add(
            "registration", f"cover:2020:{line[1]}", "BookkeepingPosted", "2019-12-04", person_id=line[1],
            return_no=f"R-{number}", line_no=1, voucher_no=number, insurance=insurance, year=2020,
            fen=line[4], booked_on="2019-12-04", tier_yuan=300 if insurance == "pension" else None,
        )  # fmt: skip
    for person in PEOPLE:
        village.add(
            "registration", f"cover:2020:{person}", "MedicalEntitlementGranted", "2019-12-04",
            person_id=person, year=2020, from_date="2020-01-01", to_date="2020-12-31",
        )  # fmt: skip
    village.add(
        "registration", "account:p1", "GovernmentMatchingCredited", "2019-12-04", 0,
        person_id="p1", year=2020, fen=3_000,
    )  # fmt: skip


def _refund(village: Village) -> None:
    village.add(
        "registration",
        "process:refund-verification:F-W-2-1",
        "RefundVerified",
        "2019-12-05",
        refund_no="F-W-2-1",
    )
    village.add(
        "subsidy", "process:refund-approval:F-W-2-1", "RefundApproved", "2019-12-06", refund_no="F-W-2-1"
    )
    village.add(
        "collection", "obligation:2020:medical:p2", "PaymentRefunded", "2019-12-07",
        line_id="W-2/1", refund_no="F-W-2-1", fen=26_000,
    )  # fmt: skip


def _reconciliation(village: Village) -> None:
    for insurance, count, fen in (("medical", 3, 78_000), ("pension", 1, 30_000)):
        total = [count, fen]
        ours = {"tax": total, "treasury": total, "registration": total}
        statements = {"treasury-statement": total, "finance-statement": total}
        totals = {"campaign": CAMPAIGN, "insurance": insurance, "in_transit_fen": 0, "equal": True}
        village.add(
            "collection", f"reconciliation:{CAMPAIGN}:2019-12-03", "TotalsReconciled", "2019-12-08",
            **totals, date="2019-12-03", parties=ours,
        )  # fmt: skip
        village.add(
            "collection", f"reconciliation:{CAMPAIGN}:2019-12", "TotalsReconciled", "2019-12-31",
            **totals, date="2019-12-31", parties=ours | statements,
        )  # fmt: skip
        village.add(
            "collection", f"reconciliation:{CAMPAIGN}:2019-12-03", "ThreeWayMatchVerified", "2019-12-08",
            campaign=CAMPAIGN, village=VILLAGE, insurance=insurance, collected_count=count, collected_fen=fen,
            entered_count=count, entered_fen=fen, money_count=count, money_fen=fen,
        )  # fmt: skip
