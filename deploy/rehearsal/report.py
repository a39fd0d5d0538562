"""``report.json``: what a rehearsal showed, told by the services' and the outside's HTTP answers only.

The audit's findings (invariants, unaccounted fen) come from outside and are added to it. Money words are those
of the interface: due is the standard of assessed obligations; paid is the persons' legs received; subsidised is
the government's legs resolved; deposited is what agents' days and channels' files settled; declared, in treasury
and returned are sums of declarations and vouchers; booked is registration's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.rehearsal import figures
from deploy.rehearsal.driver import Driver
from deploy.rehearsal.figures import COUNTS, TOTALS
from deploy.rehearsal.injected import injected_events
from deploy.rehearsal.plan import Plan
from deploy.rehearsal.summaries import Summaries, event_name, read_summaries

DECLARED = "VirtualHouseholdDeclarationSubmitted"
NO_CASH = "代办员不持有现金，款项由渠道日终结算 / no agent holds cash: the channel's settlement is the deposit, D-40"
"""Why a rehearsal without cash has nothing to declare through a virtual household."""

__all__ = ["COUNTS", "TOTALS", "Report", "collect_report", "event_name", "report_of"]


@dataclass
class Report:
    """The body of ``report.json``; fields and their meaning are the interface's.

    areas: sums per 管区 (or town, where several are rehearsed); scope: whom the task table counts (``ALL``, or
    ``EXCL_EXEMPT``); daily, channels: money of payers; coverage: rates by insurance and age band (I-32);
    changes: villages beside the year before; open_matters: what is not settled, and whose turn it is; costs: per
    person, see ``figures.costs``.
    """

    pack: dict[str, Any]
    campaign: str
    place: str
    seed: int
    scale: float
    broker: str = ""
    synthetic: bool = True
    scope: str = "ALL"
    persons: int = 0
    obligations: int = 0
    events: int = 0
    messages: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"setup": 0.0, "run": 0.0, "verify": 0.0})
    peak_mib: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    disk_mib: float = 0
    disk_mib_parts: dict[str, float] = field(default_factory=dict)
    cpu_ms_per_person: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    insurances: dict[str, dict[str, int]] = field(default_factory=dict)
    areas: list[dict[str, Any]] = field(default_factory=list)
    villages: list[dict[str, Any]] = field(default_factory=list)
    daily: list[dict[str, Any]] = field(default_factory=list)
    channels: list[dict[str, Any]] = field(default_factory=list)
    coverage: list[dict[str, Any]] = field(default_factory=list)
    open_matters: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
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

    def add_costs(self, baseline: Mapping[str, Any] | None = None) -> None:
        """CPU and disk per person; baseline: ``report.json`` of an empty campaign, taken off."""
        self.costs = figures.costs(self.document(), baseline)
        self.cpu_ms_per_person = self.costs.get("cpu_ms_per_person", 0.0)

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


async def collect_report(driver: Driver) -> Report:
    """Everything of the report that HTTP tells, in a dozen requests and those of the injected cases."""
    summaries = await read_summaries(driver)
    report = report_of(driver.plan, summaries)
    if driver.plan.villages:
        report.injected = [each.row() for each in await injected_events(driver, summaries.told)]
    return report


def report_of(plan: Plan, summaries: Summaries) -> Report:
    """The report of a plan and the services' sums. Pure."""
    pack, scope = plan.pack, plan.population.scope
    report = Report(
        {"id": pack.id, "version": pack.version, "digest": pack.digest},
        plan.campaign,
        plan.place,
        plan.seed,
        plan.scale,
        scope=scope,
        events=summaries.events,
        messages=summaries.messages,
    )
    villages = figures.village_rows(plan.population.villages, summaries.villages, summaries.targets, scope)
    sums = figures.summed(villages)
    report.villages = villages
    report.areas = figures.area_rows(villages, summaries.targets, scope)
    report.insurances = figures.insurance_rows(villages)
    report.persons = sums["persons"]
    report.obligations = sum(each["persons"] for each in report.insurances.values())
    report.totals = {name: sums[name] for name in TOTALS}
    report.daily = figures.daily_rows(summaries.days)
    report.channels = figures.channel_rows(summaries.days, pack)
    report.coverage = [dict(row) for row in summaries.coverage]
    terms = figures.channel_terms(pack)
    report.open_matters = figures.open_matters(
        summaries.money,
        summaries.differences,
        summaries.settlements,
        summaries.refunds,
        summaries.cases,
        terms,
    )
    report.cases = figures.case_counts(summaries.cases, terms)
    report.changes = [dict(row) for row in summaries.changes]
    report.steps = step_rows(plan)
    report.count_steps(summaries.types)
    report.unaccounted_fen = int(summaries.money["unaccounted_fen"])
    report.difference_fen = int(summaries.money["difference_fen"])
    report.records_compared = int(summaries.money["checked"])
    return report


def step_rows(plan: Plan) -> list[dict[str, Any]]:
    """The steps of the pack's flow, and under which reading and clause each is done.

    What the script carries over from another plan replaces the flow's own reading of that step (D-40).
    ``not_taken``: why nothing happens in the step here; "" where it is taken.
    """
    carried = {each.step: each for each in plan.script.readings}
    no_cash = "" if plan.script.cash else NO_CASH
    rows = []
    for step in plan.pack.document.flow:
        over = carried.get(step.step)
        rows.append(
            {
                "step": step.step,
                "term": step.term,
                "stage": step.stage,
                "actor": step.actor,
                "reading": over.reading if over else str(step.reading),
                "clause": over.clause if over else step.clause,
                "events": 0,
                "types": list(step.events),
                "not_taken": no_cash if DECLARED in step.events else "",
            }
        )
    return rows
