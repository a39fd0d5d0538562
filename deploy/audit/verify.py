"""The whole audit: every invariant, the money, and the streams themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from deploy.audit import bookings, payments, people, policy, rosters, settlements, subsidies
from deploy.audit.evidence import Books, Evidence, Row
from deploy.audit.fund_lines import FundLines
from deploy.audit.hearing import ORDER, Campaigns, Check, Hearing
from deploy.audit.lines import CASH, Lines
from deploy.audit.money import CellDifference, Money
from deploy.audit.obligations import Obligations
from deploy.audit.survey import Survey, survey_rows
from deploy.audit.tally import Invariant, Scope, Tally
from shared.policy import Pack
from shared.policy.registry import PackRegistry
from shared.policy.terms import HouseholdMode

OWNERS: Mapping[str, tuple[str, ...]] = {
    "registration": ("person", "enrolment", "account", "cover"),
    "collection": (
        "pack",
        "campaign",
        "taxpayer",
        "virtual-household",
        "agent",
        "roster",
        "obligation",
        "settlement",
        "declaration",
        "voucher",
        "refund",
        "reconciliation",
        "suspense",
        "receipt",
        "receipt-book",
        "fund-account",
        "fund-deposit",
        "payment-document",
        "village-account",
        "statistics",
        "payment-history",
    ),
    "subsidy": ("list", "subsidy-entitlement", "fund", "family-planning", "fiscal-subsidy"),
    "notification": ("notice", "case"),
}
"""Whose streams begin with what (architecture §3); ``process`` and ``received`` are everybody's own."""


class ReplayedProjection(msgspec.Struct, frozen=True):
    """A read model compared with its replay."""

    service: str
    projection: str
    differences: int


class AuditReport(msgspec.Struct, frozen=True):
    """``audit.json``. clean: nothing violated, nothing unaccounted, something compared, no fault.

    positions: the end of each log; one more is where the next audit may start (``verify --since``).
    gauges: collection's own ``unaccounted_fen`` per campaign and insurance; faults: codes of what kept the
    audit from seeing everything (NOT_AT_REST, GAUGE_MISSING, GAUGE_DIFFERS, NOTHING_COMPARED).
    """

    clean: bool
    invariants: tuple[Invariant, ...]
    unaccounted_fen: int
    difference_fen: int
    records_compared: int
    events: dict[str, int]
    positions: dict[str, int]
    event_types: dict[str, int]
    states: dict[str, int]
    broken: tuple[str, ...]
    differences: tuple[CellDifference, ...]
    projections: tuple[ReplayedProjection, ...]
    gauges: dict[str, int]
    faults: tuple[str, ...]


STEPS: Mapping[str, tuple[str, ...]] = {
    "I-07": ("VirtualHouseholdRegistered",),
    "I-08": ("CollectionRosterFormed",),
    "I-09": ("RosterNoticeStarted", "PaymentNoticeStarted"),
    "I-10": ("SubsidyListSubmitted",),
    "I-11": ("SubsidyEntitlementResolved",),
    "I-18": ("AgentAuthorized",),
    "I-19": ("ReceiptIssued",),
    "I-20": ("DailySettlementConfirmed",),
    "I-21": ("VirtualHouseholdDeclarationSubmitted",),
    "I-22": ("DailySettlementDeposited",),
    "I-23": ("TaxVoucherIssued",),
}
"""Invariants of steps a pack's flow may lack, and the events that show the step is there."""

CASH_ONLY = ("I-19", "I-21", "I-22")
"""Invariants of money that lies in an agent's hand: receipts, deposits, what the agent declares."""


def _checks(scope: Scope, campaigns: Campaigns, obligations: Obligations, lines: Lines) -> list[Check]:
    """One of each kind, I-30 and I-31 aside: these look at whole logs."""
    plain: tuple[type[Check], ...] = (
        policy.I01, policy.I02, people.I03, people.I04, people.I05, people.I06, rosters.I09, subsidies.I10,
        subsidies.I11, policy.I12, policy.I13, bookings.I15, settlements.I18, settlements.I22, payments.I23,
        bookings.I24, bookings.I25, bookings.I26, subsidies.I27, payments.I29, policy.I32,
    )  # fmt: skip
    of_lines: tuple[type[payments.OfLines], ...] = (
        payments.I16, payments.I17, settlements.I19, settlements.I20, payments.I28
    )  # fmt: skip
    return [
        *(kind(scope, campaigns) for kind in plain),
        *(kind(scope, campaigns, lines) for kind in of_lines),
        policy.I14(scope, campaigns, obligations),
        rosters.I08(scope, campaigns, obligations),
        rosters.I21(scope, campaigns, lines, obligations),
    ]


class Examination:
    """An audit under way: hears the logs, page by page in ``ORDER``, then the books, then reports."""

    def __init__(self, packs: PackRegistry, since: int | Mapping[str, int] = 0) -> None:
        self.scope = Scope(since)
        self.campaigns = Campaigns(packs)
        self._lines = Lines(self.campaigns, obligations := Obligations())
        self._funds = FundLines(self._lines)
        self._money = Money(self._lines)
        self._households = rosters.I07(self.scope, self.campaigns)
        checks = _checks(self.scope, self.campaigns, obligations, self._lines)
        self._checks = [*checks, self._households]
        self._hearing = Hearing(
            self.scope, [self.campaigns, obligations, self._lines, self._funds, self._money, *self._checks]
        )
        self._surveys: dict[str, Survey] = {}

    def types(self, service: str) -> list[str]:
        """The types of a log that have to be read."""
        return self._hearing.types(service)

    def hear(self, service: str, rows: Iterable[Row]) -> None:
        """Rows of a log, in its order; those of other types are passed over."""
        self._hearing.hear(service, rows)

    def survey(self, service: str, survey: Survey) -> None:
        """The log as a whole."""
        self._surveys[service] = survey

    def compare_with(self, books: Books) -> None:
        """The outside's books, or a page of them."""
        self._money.compare_with(books)

    def report(
        self,
        projections: Sequence[ReplayedProjection] = (),
        gauges: Mapping[str, int] | None = None,
        faults: Sequence[str] = (),
    ) -> AuditReport:
        """Everything was heard and compared: judge it."""
        invariants = self._judge(projections)
        money = self._money.result()
        seen = [*faults, *(f"GAUGE_DIFFERS {name}" for name, fen in (gauges or {}).items() if fen)]
        if money.records_compared == 0:
            seen.append("NOTHING_COMPARED")
        types: Counter[str] = Counter()
        for survey in self._surveys.values():
            types.update(survey.types)
        return AuditReport(
            clean=all(each.holds for each in invariants) and money.unaccounted_fen == 0 and not seen,
            invariants=invariants,
            unaccounted_fen=money.unaccounted_fen,
            difference_fen=money.difference_fen,
            records_compared=money.records_compared,
            events={service: survey.rows for service, survey in self._surveys.items()},
            positions={service: survey.last for service, survey in self._surveys.items()},
            event_types=dict(types),
            states=money.states,
            broken=money.broken,
            differences=money.differences,
            projections=tuple(projections),
            gauges=dict(gauges or {}),
            faults=tuple(seen),
        )

    def _judge(self, projections: Sequence[ReplayedProjection]) -> tuple[Invariant, ...]:
        self._funds.close()
        self._lines.close()
        self._households.strangers(tuple(s for each in self._surveys.values() for s in each.strangers))
        for check in self._checks:
            check.close()
        found = [check.result() for check in self._checks]
        found += [self._check_i30(projections), self._check_i31()]
        return tuple(sorted((self._lacking(each) for each in found), key=lambda each: each.id))

    def _check_i30(self, projections: Sequence[ReplayedProjection]) -> Invariant:
        """Streams are gapless, positions rise, and every read model equals its replay."""
        tally = Tally("I-30", self.scope)
        for survey in self._surveys.values():
            tally.count(survey.judged)
            for number in range(survey.gaps):
                tally.violate(survey.gap_ids[number] if number < len(survey.gap_ids) else "")
        for each in projections:
            tally.see(each.differences == 0, f"{each.service} {each.projection}")
        return tally.result()

    def _check_i31(self) -> Invariant:
        """No service has a stream of another's; only registration verifies refunds and assesses specially."""
        tally = Tally("I-31", self.scope)
        for service, survey in self._surveys.items():
            for kind, count in survey.kinds.items():
                tally.count(count)
                if kind not in (*OWNERS[service], "process", "received"):
                    for _ in range(count):
                        tally.violate(f"{service} {kind}")
        return tally.result()

    def _lacking(self, invariant: Invariant) -> Invariant:
        """Not applicable, with the campaigns' packs and clause, when none of them has the step."""
        packs = self.campaigns.distinct()
        if invariant.checked or invariant.not_applicable or not packs:
            return invariant
        reasons = [_lacks(pack, invariant.id) for pack in packs.values()]
        if not all(reasons):
            return invariant
        return msgspec.structs.replace(invariant, not_applicable="; ".join(sorted(reasons)))


def _lacks(pack: Pack, invariant: str) -> str:
    """Why a pack has nothing an invariant could look at; "" when it has, or when every pack must."""
    steps = STEPS.get(invariant, ())
    if steps and not any(name in step.events for step in pack.flow for name in steps):
        own = [step.clause for step in pack.flow if "FundAccountDeposited" in step.events]
        return f"{pack.id} flow, {' '.join(own) or 'D-40'}"
    if invariant == "I-02" and pack.task_table is None:
        return f"{pack.id} has no task table, D-03 D-56"
    if invariant not in CASH_ONLY:
        return ""
    if pack.channel(CASH) is None:
        clauses = " ".join(step.clause for step in pack.flow if "PaymentReceived" in step.events)
        return f"{pack.id} has no {CASH}, {clauses}"
    if pack.virtual_household_mode is HouseholdMode.UNSPECIFIED:
        return f"{pack.id} leaves its virtual households open: no agent may hold cash, D-42"
    return ""


def audit(
    evidence: Evidence,
    projections: Sequence[ReplayedProjection] = (),
    gauges: Mapping[str, int] | None = None,
    faults: Sequence[str] = (),
) -> AuditReport:
    """All invariants and the money over logs in memory."""
    examination = Examination(PackRegistry(evidence.packs.values()), evidence.since)
    for service in ORDER:
        examination.hear(service, evidence.logs[service])
    for service, rows in evidence.logs.items():
        examination.survey(service, survey_rows(rows, examination.scope.since(service)))
    examination.compare_with(evidence.books)
    return examination.report(projections, gauges, faults)
