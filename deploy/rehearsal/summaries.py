"""What the report is made of, asked in a dozen requests (汇总): sums the services keep, whatever the size.

Nothing here reads a person, an obligation or a message one by one, but for the few facts that show what was
injected: those are found by their type.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.rehearsal import years
from deploy.rehearsal.clients import SERVICES
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.resting import OPERATOR

AUDITOR, REGISTRAR, TAX = "auditor", "hr", "tax"
PAGE = 1000

SHOWN = (
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
)
"""Facts that show what became of the injected cases; rare ones, looked into one by one."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Summaries:
    """Answers, as the services gave them.

    villages: rows per village and insurance (insurance ``ALL``: people, whatever they owe); days: rows per
    date, channel and insurance; coverage: rates of the whole place by insurance and age band (I-32); types:
    events per name in all four logs; told: published facts of ``SHOWN``; changes: villages beside the year before.
    In a year that follows another on the same databases, types, messages and told are those since it began.
    """

    villages: Sequence[Row]
    days: Sequence[Row]
    targets: Sequence[Row]
    coverage: Sequence[Row]
    cases: Sequence[Row]
    settlements: Sequence[Row]
    refunds: Sequence[Row]
    money: Row
    differences: Sequence[Row]
    types: Mapping[str, int]
    events: int
    messages: int
    told: Mapping[str, list[dict[str, Any]]]
    changes: Sequence[Row] = ()


async def read_summaries(driver: Driver) -> Summaries:
    """All of it."""
    services, campaign = driver.services, driver.plan.campaign
    census = [await services.get(OPERATOR, name, "/ops/log") for name in SERVICES]
    types = Counter[str]()
    for one in census:
        types.update(one["types"])
    earlier = driver.journal.note(years.CENSUS) or {"types": {}, "messages": 0}
    types.subtract(earlier["types"])
    progress = await services.get(AUDITOR, "notification", f"/progress/{campaign}")
    coverage = await services.get(
        REGISTRAR,
        "registration",
        "/coverage",
        year=driver.plan.year,
        division=driver.plan.population.division,
        villages="false",
    )
    return Summaries(
        villages=(await services.get(TAX, "collection", f"/campaigns/{campaign}/villages"))["items"],
        days=(await services.get(TAX, "collection", f"/campaigns/{campaign}/days"))["items"],
        targets=progress["targets"],
        coverage=[row for row in coverage["items"] if not row["village"]],
        cases=[row async for row in services.pages(TAX, "notification", "/cases", campaign=campaign)],
        settlements=[
            row
            async for row in services.pages(
                TAX, "collection", "/settlements", campaign=campaign, state="OPEN"
            )
        ],
        refunds=[row async for row in services.pages(TAX, "collection", "/refunds", campaign=campaign)],
        money=await services.get(TAX, "collection", "/money/unaccounted", campaign=campaign),
        differences=(
            await services.get(TAX, "collection", "/reconciliations/differences", campaign=campaign)
        )["items"],
        types=types,
        events=sum(types.values()),  # positions have gaps where an append was cut off by a kill
        messages=sum(int(one["messages"] or 0) for one in census) - int(earlier["messages"]),
        told=await told(driver, [name for name in SHOWN if types[name]]),
        changes=await years.changes(driver),
    )


async def told(driver: Driver, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Published facts of some names, by name, in log order."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    since = driver.journal.note(years.SINCE) or {}
    for service in SERVICES if names else ():
        after = int(since.get(service, 0))
        while True:
            page = await driver.services.get(
                OPERATOR, service, "/events", after=after, limit=PAGE, types=",".join(names)
            )
            for item in page["items"]:
                found[event_name(item["type"])].append(item)
            if int(page["next"]) == after or not page["items"]:
                break
            after = int(page["next"])
    return found


def event_name(kind: str) -> str:
    """``liangxian.collection.payment_received.v1`` -> ``PaymentReceived``."""
    return "".join(part.capitalize() for part in kind.split(".")[2].split("_"))
