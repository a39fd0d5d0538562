"""What a rehearsal makes go wrong, what must come of it, and what came of it (by HTTP only)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.rehearsal.driver import Driver
from deploy.rehearsal.preparation import list_id

Items = Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Injected:
    """One injected event. event_ids: published facts that show it."""

    kind: str
    term: str
    expected: str
    outcome: str
    event_ids: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As the report shows it."""
        return {
            "kind": self.kind,
            "term": self.term,
            "expected": self.expected,
            "outcome": self.outcome,
            "event_ids": list(self.event_ids),
        }


def _ids(items: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(item["id"]) for item in items)


async def injected_events(driver: Driver, items: Items) -> list[Injected]:
    """All of them, in the order of the campaign."""
    books = await driver.outside.get(f"/books?campaign={driver.plan.campaign}")
    return [
        await _two_lists(driver, items),
        await _failed_line(driver),
        await _objections(driver, items),
        _lost_answer(books),
        *await _refunds(driver, items),
        _died_unpaid(books),
        *await _deposits(driver, items),
        await _rejected_voucher(driver, items),
    ]


async def _two_lists(driver: Driver, items: Items) -> Injected:
    persons = [driver.person_of(ordinal) for ordinal in driver.plan.two_lists]
    entitled = [
        row["person_id"]
        async for row in driver.services.pages(
            "finance", "subsidy", "/subsidy-entitlements", campaign=driver.plan.campaign, insurance="medical"
        )
        if row["person_id"] in persons
    ]
    overlaps = [
        item for item in items.get("SubsidyOverlapDetected", ()) if item["data"]["person_id"] in persons
    ]
    return Injected(
        "PERSON_ON_TWO_LISTS",
        "残联与民政重复报送",
        "2 overlaps, 1 payer each",
        f"{len(overlaps)} overlaps, {_most(entitled)} payer each",
        _ids(overlaps),
    )


def _most(values: list[str]) -> int:
    return max((values.count(value) for value in values), default=0)


async def _failed_line(driver: Driver) -> Injected:
    name = list_id(driver, "CIVIL_AFFAIRS", "MINIMUM_LIVING", "medical")
    page = await driver.services.get("civil-affairs", "subsidy", f"/lists/{name}/failures")
    errors = ", ".join(row["error"] for row in page["items"])
    return Injected("LIST_LINE_UNKNOWN", "名单行查无此人", "NOT_ENROLLED", errors)


async def _objections(driver: Driver, items: Items) -> Injected:
    notice = f"N-ROSTER-{driver.plan.roster}-1"
    shown = await driver.services.get("village-committee", "notification", f"/notices/{notice}")
    outcomes = sorted(f"{row['claim']} {row['outcome']}" for row in shown["objections"])
    expected = "NOT_LISTED UPHELD, WRONG_AMOUNT REJECTED, notice CLOSED"
    return Injected(
        "OBJECTION",
        "清册公示异议",
        expected,
        f"{', '.join(outcomes)}, notice {shown['state']}",
        _ids(items.get("RosterObjectionRaised", ())) + _ids(items.get("ObjectionResolved", ())),
    )


def _lost_answer(books: Mapping[str, Any]) -> Injected:
    repeated = ", ".join(order["repeated"] for order in books["orders"] if order["repeated"])
    return Injected("LOST_ANSWER", "答复丢失后重试", "SAME_ANSWER", repeated)


def _died_unpaid(books: Mapping[str, Any]) -> Injected:
    codes = ", ".join(order["code"] for order in books["orders"] if order["state"] == "REFUSED")
    return Injected("DIED_BEFORE_PAYING", "缴费前死亡", "PERSON_DECEASED", codes)


async def _refunds(driver: Driver, items: Items) -> list[Injected]:
    rows = [
        row
        async for row in driver.services.pages("tax", "collection", "/refunds", campaign=driver.plan.campaign)
    ]
    found = []
    for kind, term, reason, least in (
        ("DOUBLE_PAYMENT", "同日重复缴费", "DUPLICATE", "1"),
        ("PAID_AFTER_DEATH", "死亡后缴费", "PAID_AFTER_DEATH", ""),
        ("DIED_BEFORE_PERIOD", "参保年度前死亡", "DIED_BEFORE_PERIOD", "1"),
    ):
        mine = [row for row in rows if row["reason"] == reason]
        settled = [row for row in mine if row["state"] == "SETTLED"]
        count = least or str(len(mine) or 1)
        numbers = {row["refund_no"] for row in mine}
        paid = [item for item in items.get("RefundPaid", ()) if item["data"]["refund_no"] in numbers]
        found.append(Injected(kind, term, f"{count} refunded", f"{len(settled)} refunded", _ids(paid)))
    return found


async def _deposits(driver: Driver, items: Items) -> list[Injected]:
    campaign = driver.plan.campaign
    cases = {
        row["rule"]: row["state"]
        async for row in driver.services.pages("tax", "notification", "/cases", campaign=campaign)
    }
    open_days = [
        row
        async for row in driver.services.pages(
            "tax", "collection", "/settlements", campaign=campaign, state="OPEN"
        )
    ]
    detected = items.get("DailySettlementDiscrepancyDetected", [])
    resolved = _ids(items.get("DailySettlementDiscrepancyResolved", ()))
    found = []
    for kind, term, rule, sign in (
        ("DEPOSIT_SHORT", "解缴少于收款", "SHORTFALL", -1),
        ("DEPOSIT_OVER", "解缴多于收款（垫资）", "ADVANCE_FUNDING", 1),
    ):
        mine = [item for item in detected if item["data"]["diff_fen"] * sign > 0]
        outcome = f"{len(mine)} found, {len(open_days)} open, case {cases.get(rule, 'MISSING')}"
        found.append(Injected(kind, term, "1 found, 0 open, case CLOSED", outcome, _ids(mine) + resolved))
    overdue = items.get("SettlementOverdue", [])
    found.append(
        Injected(
            "DEPOSIT_LATE",
            "次日解缴（滞留）",
            "case CLOSED",
            f"case {cases.get('FUND_RETENTION', 'MISSING')}",
            _ids(overdue),
        )
    )
    return found


async def _rejected_voucher(driver: Driver, items: Items) -> Injected:
    rejected = items.get("TreasuryEntryRejected", [])
    states = [
        (await driver.services.get("tax", "collection", f"/vouchers/{item['data']['voucher_no']}"))["state"]
        for item in rejected
    ]
    return Injected(
        "VOUCHER_REJECTED",
        "国库退回后重新开票",
        "IN_TREASURY",
        ", ".join(states),
        _ids(rejected),
    )
