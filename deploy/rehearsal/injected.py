"""What a rehearsal makes go wrong, what must come of it, and what came of it (by HTTP only)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.rehearsal import birthdays, years
from deploy.rehearsal.bills import order_no
from deploy.rehearsal.collecting import MISFIT
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.enrolling import REFUSED_EMPLOYEES
from deploy.rehearsal.fund_injected import fund_cases
from deploy.rehearsal.plan import (
    ANSWERED_TWICE,
    BIRTHDAY,
    DIED_UNPAID,
    FALLBACK,
    LATE,
    LATE_FILE,
    LOST_ANSWER,
    MISFILED,
    OBJECTOR,
    OUT_OF_WINDOW,
    OVER,
    SHORT,
)
from deploy.rehearsal.preparation import DAY

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
    """All of them, in the order of the campaign; what the pack has not is not injected."""
    books = await driver.outside.get(f"/oddities?campaign={driver.plan.campaign}")
    cases = {
        row["rule"]: row["state"]
        async for row in driver.services.pages("tax", "notification", "/cases", campaign=driver.plan.campaign)
    }
    return [
        await _employees(driver),
        await _two_lists(driver, items),
        *await _failed_lines(driver),
        *await _objections(driver, items),
        *_repetitions(driver, books),
        *await _refunds(driver, items),
        _died_unpaid(driver, books),
        *await _deposits(driver, items, cases),
        *await _day_files(driver, items),
        *await _vouchers(driver, items, books),
        *_late_payer(driver),
        *_birthday(driver),
        *await _family_planning(driver),
        *await _years(driver),
        *await _fallback(driver),
    ]


async def _vouchers(driver: Driver, items: Items, books: Mapping[str, Any]) -> list[Injected]:
    """The treasury's cases, or what stands for them in a plan that has none."""
    if not driver.plan.pack.pays_into_fund_accounts:
        return [await _rejected_voucher(driver, items), *await _early_entry(driver, books)]
    return [
        Injected(case.kind, case.term, case.expected, case.outcome, _ids(items.get(case.shown_by, ())))
        for case in fund_cases(driver)
    ]


async def _employees(driver: Driver) -> Injected:
    people = [each for each in driver.plan.village(driver.plan.cast).each() if each.employee]
    states = []
    for each in people[:REFUSED_EMPLOYEES]:
        found = await driver.services.get(
            "medical", "registration", "/enrolments", person_id=driver.person(each)
        )
        states += [
            f"{row['status']} {row.get('rule', '')}".strip()
            for row in found["items"]
            if row["year"] == driver.plan.year
        ]
    expected = f"{REFUSED_EMPLOYEES} REJECTED"
    told = f"{sum(state.startswith('REJECTED') for state in states)} REJECTED"
    return Injected("EMPLOYEE_ENROLS", "职工参加居民医保", expected, told)


async def _two_lists(driver: Driver, items: Items) -> Injected:
    persons = [driver.journal.person(ordinal) for ordinal in driver.plan.two_lists]
    overlaps = [
        item for item in items.get("SubsidyOverlapDetected", ()) if item["data"]["person_id"] in persons
    ]
    payers = [
        sum(leg["payer"] != "person" for leg in row["legs"])
        for person in persons
        async for row in driver.services.pages(
            "village-agent", "collection", "/obligations", campaign=driver.plan.campaign, person_id=person
        )
        if row["insurance"] == "medical"
    ]
    return Injected(
        "PERSON_ON_TWO_LISTS",
        "残联与民政重复报送",
        "2 overlaps, 1 payer each",
        f"{len(overlaps)} overlaps, {max(payers, default=0)} payer each",
        _ids(overlaps),
    )


async def _failed_lines(driver: Driver) -> list[Injected]:
    """One line of somebody nobody knows; one whose number was mistyped and comes back corrected."""
    day = driver.plan.script.days.lists
    again = driver.journal.answer(f"{day + DAY}/resubmit-list")
    errors: set[str] = set()
    corrected: set[str] = set()
    for name, department, _ in driver.journal.answer(f"{day}/submit-lists")["lists"]:
        client = driver.plan.script.departments[department]
        async for row in driver.services.pages(client, "subsidy", f"/lists/{name}/failures"):
            errors.add(str(row["error"]))
            if row["corrected_in"] == again["list_id"]:
                corrected.add(str(row["error"]))
    client = driver.plan.script.departments[again["department"]]
    failed = [
        row async for row in driver.services.pages(client, "subsidy", f"/lists/{again['list_id']}/failures")
    ]
    return [
        Injected(
            "LIST_LINE_UNKNOWN",
            "名单行查无此人",
            "NOT_ENROLLED",
            ", ".join(sorted(errors & {"NOT_ENROLLED"})),
        ),
        Injected(
            "LIST_LINE_CORRECTED",
            "名单行号码有误，更正后重报",
            "ID_INVALID corrected, then 0 failed",
            f"{', '.join(sorted(corrected))} corrected, then {len(failed)} failed",
        ),
    ]


async def _objections(driver: Driver, items: Items) -> list[Injected]:
    if OBJECTOR not in driver.plan.roles:
        return []
    notice = f"N-ROSTER-{driver.plan.roster(driver.plan.cast)}-1"
    shown = await driver.services.get("village-committee", "notification", f"/notices/{notice}")
    outcomes = sorted(f"{row['claim']} {row['outcome']}" for row in shown["objections"])
    return [
        Injected(
            "OBJECTION",
            "清册公示异议",
            "NOT_LISTED UPHELD, WRONG_AMOUNT REJECTED, notice CLOSED",
            f"{', '.join(outcomes)}, notice {shown['state']}",
            _ids(items.get("RosterObjectionRaised", ())) + _ids(items.get("ObjectionResolved", ())),
        )
    ]


def _repetitions(driver: Driver, books: Mapping[str, Any]) -> list[Injected]:
    orders = {order["order_no"]: order for order in books["orders"]}
    found = []
    for kind, term, role in (
        ("LOST_ANSWER", "答复丢失后重试", LOST_ANSWER),
        ("CHANNEL_ANSWERS_TWICE", "渠道重复推送同一订单", ANSWERED_TWICE),
    ):
        order = orders.get(_order_of(driver, role), {})
        found.append(Injected(kind, term, "SAME_ANSWER", order.get("repeated", "")))
    return found


def _order_of(driver: Driver, role: str) -> str:
    planned = driver.plan.roles[role]
    if planned.on is None:
        raise ValueError(role)
    return order_no(driver, driver.plan.cast, planned.household.number, planned.on)


def _died_unpaid(driver: Driver, books: Mapping[str, Any]) -> Injected:
    order = next(
        (each for each in books["orders"] if each["order_no"] == _order_of(driver, DIED_UNPAID)), {"code": ""}
    )
    return Injected("DIED_BEFORE_PAYING", "缴费前死亡", "PERSON_DECEASED", order["code"])


async def _refunds(driver: Driver, items: Items) -> list[Injected]:
    rows = [
        row
        async for row in driver.services.pages("tax", "collection", "/refunds", campaign=driver.plan.campaign)
    ]
    kinds = [
        ("DOUBLE_PAYMENT", "同日重复缴费", "DUPLICATE", "1"),
        ("PAID_AFTER_DEATH", "死亡后缴费", "PAID_AFTER_DEATH", ""),
        ("DIED_BEFORE_PERIOD", "参保年度前死亡", "DIED_BEFORE_PERIOD", "1"),
    ]
    if driver.plan.script.days.late is not None and OUT_OF_WINDOW in driver.plan.roles:
        kinds.append(("PAID_AFTER_WINDOW", "征缴期后到账", "OUT_OF_WINDOW", "1"))
    found = []
    for kind, term, reason, least in kinds:
        mine = [row for row in rows if row["reason"] == reason]
        settled = [row for row in mine if row["state"] == "SETTLED"]
        count = least or str(len(mine) or 1)
        numbers = {row["refund_no"] for row in mine}
        paid = [item for item in items.get("RefundPaid", ()) if item["data"]["refund_no"] in numbers]
        found.append(Injected(kind, term, f"{count} refunded", f"{len(settled)} refunded", _ids(paid)))
    return found


async def _open_days(driver: Driver) -> int:
    return len(
        [
            row
            async for row in driver.services.pages(
                "tax", "collection", "/settlements", campaign=driver.plan.campaign, state="OPEN"
            )
        ]
    )


async def _deposits(driver: Driver, items: Items, cases: Mapping[str, str]) -> list[Injected]:
    if LATE not in driver.plan.roles:
        return []
    open_days = await _open_days(driver)
    detected = items.get("DailySettlementDiscrepancyDetected", [])
    resolved = _ids(items.get("DailySettlementDiscrepancyResolved", ()))
    found = []
    for kind, term, rule, role in (
        ("DEPOSIT_SHORT", "解缴少于收款", "SHORTFALL", SHORT),
        ("DEPOSIT_OVER", "解缴多于收款（垫资）", "ADVANCE_FUNDING", OVER),
    ):
        mine = [item for item in detected if item["data"]["diff_fen"] == MISFIT[role]]
        outcome = f"{len(mine)} found, {open_days} open, case {cases.get(rule, 'MISSING')}"
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


async def _day_files(driver: Driver, items: Items) -> list[Injected]:
    """A channel's file that forgets an order, which comes the next day; and a file that is a day late."""
    open_days = await _open_days(driver)
    detected = items.get("DailySettlementDiscrepancyDetected", [])
    found = []
    for kind, term, role, expected in (
        ("DAY_FILE_INCOMPLETE", "渠道日终文件漏单，次日补报", MISFILED, True),
        ("DAY_FILE_LATE", "渠道日终文件迟到一日", LATE_FILE, False),
    ):
        planned = driver.plan.roles[role]
        mine = [
            item
            for item in detected
            if item["data"]["source"] == planned.channel and str(item["data"]["date"]) == str(planned.on)
        ]
        told = f"{'found' if mine else 'not found'}, {open_days} open"
        found.append(
            Injected(kind, term, f"{'found' if expected else 'not found'}, 0 open", told, _ids(mine))
        )
    return found


async def _rejected_voucher(driver: Driver, items: Items) -> Injected:
    rejected = items.get("TreasuryEntryRejected", [])
    states = [await _state(driver, item["data"]["voucher_no"]) for item in rejected]
    return Injected(
        "VOUCHER_REJECTED", "国库退回后重新开票", "IN_TREASURY", ", ".join(states), _ids(rejected)
    )


async def _state(driver: Driver, voucher_no: str) -> str:
    return str((await driver.services.get("tax", "collection", f"/vouchers/{voucher_no}"))["state"])


async def _early_entry(driver: Driver, books: Mapping[str, Any]) -> list[Injected]:
    refusals = [row for row in books["refusals"] if row["what"] == "ENTRY_BEFORE_REMITTANCE"]
    told = [f"{row['code']}, then {await _state(driver, row['subject'])}" for row in refusals]
    return [
        Injected(
            "ENTRY_BEFORE_REMITTANCE",
            "入库文件先于上解文件",
            "VOUCHER_STATE, then IN_TREASURY",
            "; ".join(told),
        )
    ]


def _late_payer(driver: Driver) -> list[Injected]:
    """逾期核定: assessed and paid, or refused with the rule that names what the plan leaves open."""
    script = driver.plan.script
    if script.days.late is None:
        return []
    assessed = driver.journal.answer(f"{script.days.late}/assess-late-payer")
    paid = driver.journal.answer(f"{script.days.late}/late-payment") or {"state": "", "code": ""}
    expected = script.late_rule or "assessed, TAKEN"
    outcome = assessed["rule"] if script.late_rule else f"{assessed['rule'] or 'assessed'}, {paid['state']}"
    return [Injected("LATE_PAYER", "逾期缴费核定", expected, outcome)]


def _birthday(driver: Driver) -> list[Injected]:
    """生日规则: half price online only from the birthday on (004:L203-207)."""
    if BIRTHDAY not in driver.plan.roles:
        return []
    before = driver.journal.answer(f"{driver.plan.day(6)}/pay-before-birthday")
    after = driver.journal.answer(f"{birthdays.birthday(driver) + DAY}/pay-after-birthday")
    outcome = f"{before['code']}, then {after['state']}"
    return [Injected("BIRTHDAY_HOLD", "满周岁前网上缴费", "AMOUNT_NOT_ASSESSED, then TAKEN", outcome)]


async def _family_planning(driver: Driver) -> list[Injected]:
    """计生家庭与财政补助: what was claimed for booked heads has arrived (D-15, D-45)."""
    if driver.plan.pack.fiscal_subsidy_fen is None:
        return []
    rows = await birthdays.fiscal(driver)
    claimed = sum(row["claimed_fen"] > 0 for row in rows)
    open_fen = sum(row["outstanding_fen"] + row["in_transit_fen"] for row in rows)
    kinds = 2 + bool(birthdays.couples(driver))
    told = f"{claimed} moneys claimed, {open_fen} fen open"
    return [Injected("FISCAL_MONEY", "财政补助按记账人数核拨", f"{kinds} moneys claimed, 0 fen open", told)]


async def _years(driver: Driver) -> list[Injected]:
    """跨年: who does not go on is told apart; a payer of last year is late beside this year's window (D-12, D-48)."""
    before = driver.plan.before
    if before is None:
        return []
    compared = driver.journal.answer(f"{driver.plan.script.days.learn}/compare-years")
    both = f"assessed, TAKEN, booked {before.year} {driver.plan.year}"
    late = await years.late_payer_of_last_year(driver)
    return [
        Injected("LAPSED", "上年缴费今年断缴", compared["expected"], compared["told"]),
        Injected("LATE_PAYER_OF_LAST_YEAR", "上年逾期缴费与今年缴费并行", both, late),
    ]


async def _fallback(driver: Driver) -> list[Injected]:
    """特殊群体现金兜底: an elder's cash, with its receipt, through the fallback's virtual household (D-41)."""
    role, campaign = driver.plan.roles.get(FALLBACK), driver.plan.campaign
    if role is None:
        return []
    channels = set()
    for member in role.household.members:
        if not member.employee:
            person = driver.person(member)
            async for row in driver.services.pages(
                "tax", "collection", "/payments", campaign=campaign, person_id=person
            ):
                channels.add(str(row["channel"]) if row["receipt"] else "no receipt")
    village = driver.plan.cast.division
    told = await driver.services.get("tax", "collection", "/declarations", campaign=campaign, village=village)
    outcome = f"{', '.join(sorted(channels))}, {len(told['items'])} declared"
    return [Injected("CASH_FALLBACK", "特殊群体现金缴费", "CASH_AGENT, 1 declared", outcome)]
