"""``report.json``: what a rehearsal showed, told by the services' and the outside's HTTP answers only.

The audit's findings (invariants, unaccounted fen, event counts) come from outside and are added to it. Money
words are those of the interface: due is the standard of assessed obligations; paid is the persons' legs
received; subsidised is the government's legs resolved; deposited is what agents' days and channels' files
settled; declared, in treasury and returned are sums of declarations and vouchers; booked is registration's.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.rehearsal.clients import SERVICES
from deploy.rehearsal.driver import OPERATOR, Driver
from deploy.rehearsal.injected import injected_events

AUDITOR = "auditor"
PAGE = 1000

TOTALS = (
    "due_fen",
    "paid_fen",
    "subsidised_fen",
    "deposited_fen",
    "declared_fen",
    "in_treasury_fen",
    "returned_fen",
    "booked_fen",
    "refunded_fen",
    "refund_due_fen",
    "unidentified_fen",
)


@dataclass
class Report:
    """The body of ``report.json``; fields and their meaning are the interface's."""

    pack: dict[str, Any]
    campaign: str
    place: str
    seed: int
    scale: float
    broker: str = ""
    persons: int = 0
    obligations: int = 0
    events: int = 0
    messages: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"setup": 0.0, "run": 0.0, "verify": 0.0})
    peak_mib: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    disk_mib: float = 0
    disk_mib_parts: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    villages: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    injected: list[dict[str, Any]] = field(default_factory=list)
    invariants: list[dict[str, Any]] = field(default_factory=list)
    difference_fen: int = 0
    unaccounted_fen: int = 0
    records_compared: int = 0
    endpoints: dict[str, str] = field(default_factory=dict)

    def add_audit(self, audit: Mapping[str, Any], event_types: Mapping[str, int]) -> None:
        """Put in what the audit found; event_types: events per type in all logs, for the steps."""
        self.invariants = list(audit["invariants"])
        self.difference_fen = int(audit["difference_fen"])
        self.unaccounted_fen = int(audit["unaccounted_fen"])
        self.records_compared = int(audit["records_compared"])
        if event_types:
            self.count_steps(event_types)

    def count_steps(self, event_types: Mapping[str, int]) -> None:
        """Events of each step of the flow, from counts per event type."""
        for step in self.steps:
            step["events"] = sum(event_types.get(name, 0) for name in step["types"])

    @property
    def clean(self) -> bool:
        """Nothing unaccounted, and everything injected went as it must."""
        return self.unaccounted_fen == 0 and all(
            each["outcome"] == each["expected"] for each in self.injected
        )

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def json(self) -> str:
        """The file's text."""
        return json.dumps(self.document(), ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Published:
    """Published messages of all services: counts per event type, ids per type, sums of fen per type."""

    messages: int
    counts: Mapping[str, int]
    items: Mapping[str, list[dict[str, Any]]]

    def fen(self, name: str) -> int:
        """Σ fen of the messages of a type."""
        return sum(int(item["data"]["fen"]) for item in self.items.get(name, ()))


KEPT = (
    "SubsidyOverlapDetected",
    "TreasuryEntryRejected",
    "DuplicatePaymentDetected",
    "PostDeathPaymentDetected",
    "DailySettlementDiscrepancyDetected",
    "DailySettlementDiscrepancyResolved",
    "SettlementOverdue",
    "RosterObjectionRaised",
    "ObjectionResolved",
    "RefundPaid",
    "SubsidyImportFailed",
    "CollectionInfoReturned",
    "BookkeepingPosted",
)
"""Types whose messages the report looks into; of the others only the number is kept."""


def event_name(kind: str) -> str:
    """``liangxian.collection.payment_received.v1`` -> ``PaymentReceived``."""
    return "".join(part.capitalize() for part in kind.split(".")[2].split("_"))


async def published(driver: Driver) -> Published:
    """Every published message, read from the four feeds."""
    counts: Counter[str] = Counter()
    items: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for service in SERVICES:
        after = 0
        while True:
            page = await driver.services.get(OPERATOR, service, "/events", after=after, limit=PAGE)
            for item in page["items"]:
                name = event_name(item["type"])
                counts[name] += 1
                if name in KEPT:
                    items[name].append(item)
            if int(page["next"]) == after:
                break
            after = int(page["next"])
    return Published(sum(counts.values()), counts, items)


async def collect_report(driver: Driver) -> Report:
    """Everything of the report that HTTP tells."""
    plan = driver.plan
    report = Report(
        {"id": plan.pack.id, "version": plan.pack.version, "digest": plan.pack.digest},
        plan.campaign,
        plan.place,
        plan.seed,
        plan.scale,
    )
    told = await published(driver)
    lags = [await driver.services.get(OPERATOR, service, "/ops/lag") for service in SERVICES]
    report.events = sum(int(lag["log_position"]) for lag in lags)
    report.messages = told.messages
    owed = [row async for row in driver.obligations() if not row["refused"]]
    report.persons = len({row["person_id"] for row in owed})
    report.obligations = len(owed)
    report.villages = [await _village(driver, owed, told)]
    report.totals = {name: sum(village[name] for village in report.villages) for name in TOTALS}
    report.steps = [
        {
            "step": step.step,
            "term": step.term,
            "stage": step.stage,
            "reading": str(step.reading),
            "clause": step.clause,
            "events": 0,
            "types": list(step.events),
        }
        for step in plan.pack.document.flow
    ]
    report.count_steps(told.counts)
    report.injected = [each.row() for each in await injected_events(driver, told.items)]
    money = await driver.services.get("tax", "collection", "/money/unaccounted", campaign=plan.campaign)
    report.unaccounted_fen = int(money["unaccounted_fen"])
    report.difference_fen = int(money["difference_fen"])
    report.records_compared = int(money["checked"])
    return report


async def _village(driver: Driver, owed: Iterable[Mapping[str, Any]], told: Published) -> dict[str, Any]:
    plan = driver.plan
    by_person: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in owed:
        by_person[row["person_id"]].append(row)
    exempt = {who for who, rows in by_person.items() if all(row["personal_fen"] == 0 for row in rows)}
    paid = {
        who
        for who, rows in by_person.items()
        if who not in exempt and all(row["paid"] for row in rows if row["personal_fen"])
    }
    scope = plan.pack.document.task_table.scope if plan.pack.document.task_table else "ALL"
    persons = len(by_person)
    due_from = persons if scope == "ALL" else persons - len(exempt)
    reached = len(paid) + (len(exempt) if scope == "ALL" else 0)
    return {
        "division": plan.village.division,
        "name": plan.village.name,
        "persons": persons,
        "paid_persons": len(paid),
        "exempt_persons": len(exempt),
        "rate": round(reached / due_from, 6) if due_from else 0.0,
        **await _money(driver, by_person, told),
        "insurances": await _insurances(driver),
    }


async def _money(
    driver: Driver, by_person: Mapping[str, list[Mapping[str, Any]]], told: Published
) -> dict[str, int]:
    campaign = driver.plan.campaign
    rows = [row for some in by_person.values() for row in some]
    settlements = [
        row["confirmed_fen"]
        async for row in driver.services.pages("tax", "collection", "/settlements", campaign=campaign)
    ]
    declarations = [
        row["fen"]
        async for row in driver.services.pages(
            "tax", "collection", "/declarations", campaign=campaign, state="VERIFIED"
        )
    ]
    vouchers = [
        row["fen"]
        async for row in driver.services.pages(
            "tax", "collection", "/vouchers", campaign=campaign, state="IN_TREASURY"
        )
    ]
    positions = (await driver.services.get("tax", "collection", "/money/positions", campaign=campaign))[
        "rows"
    ]
    standing = Counter[str]()
    for row in positions:
        standing[row["state"]] += int(row["fen"])
    returned = sum(
        int(line["fen"])
        for item in told.items.get("CollectionInfoReturned", ())
        for line in item["data"]["lines"]
    )
    return {
        "due_fen": sum(int(row["standard_fen"]) for row in rows),
        "paid_fen": sum(int(row["paid_fen"]) for row in rows if row["paid"]),
        "subsidised_fen": sum(int(row["government_fen"]) for row in rows),
        "deposited_fen": sum(settlements),
        "declared_fen": sum(declarations),
        "in_treasury_fen": sum(vouchers),
        "returned_fen": returned,
        "booked_fen": told.fen("BookkeepingPosted"),
        "refunded_fen": told.fen("RefundPaid"),
        "refund_due_fen": standing["REFUND_DUE"],
        "unidentified_fen": standing["UNIDENTIFIED"],
    }


async def _insurances(driver: Driver) -> dict[str, dict[str, Any]]:
    """The village's progress per insurance, as notification shows it."""
    division = driver.plan.village.division
    progress = await driver.services.get(
        AUDITOR, "notification", f"/progress/{driver.plan.campaign}", division=division
    )
    return {
        row["insurance"]: {
            name: value for name, value in row.items() if name not in ("division", "insurance")
        }
        for row in progress["villages"]
        if row["division"] == division
    }
