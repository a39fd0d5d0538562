"""The whole audit: every invariant, the money, and the streams themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from deploy.audit import payments, people, rosters
from deploy.audit.evidence import Evidence
from deploy.audit.money import CellDifference, audit_money
from deploy.audit.tally import Invariant, Tally

Check = Callable[[Evidence], Invariant]

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
    ),
    "subsidy": ("list", "subsidy-entitlement", "fund"),
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

    gauges: collection's own ``unaccounted_fen`` per campaign and insurance; faults: codes of what kept the
    audit from seeing everything (NOT_AT_REST, GAUGE_MISSING, GAUGE_DIFFERS, NOTHING_COMPARED).
    """

    clean: bool
    invariants: tuple[Invariant, ...]
    unaccounted_fen: int
    difference_fen: int
    records_compared: int
    events: dict[str, int]
    event_types: dict[str, int]
    states: dict[str, int]
    broken: tuple[str, ...]
    differences: tuple[CellDifference, ...]
    projections: tuple[ReplayedProjection, ...]
    gauges: dict[str, int]
    faults: tuple[str, ...]


def check_i30(evidence: Evidence, projections: Sequence[ReplayedProjection] = ()) -> Invariant:
    """Streams are gapless, positions rise, and every read model equals its replay."""
    tally = Tally("I-30", evidence)
    for rows in evidence.logs.values():
        last: dict[tuple[int, str], int] = {}
        position = 0
        for row in rows:
            key = (row.era, row.stream)
            tally.see(row.version == last.get(key, 0) + 1 and row.position > position, row)
            last[key] = row.version
            position = row.position
    for each in projections:
        tally.see(each.differences == 0, f"{each.service} {each.projection}")
    return tally.result()


def check_i31(evidence: Evidence) -> Invariant:
    """No service has a stream of another's; only registration verifies refunds and assesses specially."""
    tally = Tally("I-31", evidence)
    for service, rows in evidence.logs.items():
        own = (*OWNERS[service], "process", "received")
        for row in rows:
            tally.see(row.stream.partition(":")[0] in own, row)
    return tally.result()


CHECKS: tuple[Check, ...] = (
    people.check_i01,
    people.check_i02,
    people.check_i03,
    people.check_i04,
    people.check_i05,
    people.check_i06,
    rosters.check_i07,
    rosters.check_i08,
    rosters.check_i09,
    people.check_i10,
    people.check_i11,
    people.check_i12,
    people.check_i13,
    payments.check_i14,
    payments.check_i15,
    payments.check_i16,
    payments.check_i17,
    rosters.check_i18,
    rosters.check_i19,
    rosters.check_i20,
    rosters.check_i21,
    rosters.check_i22,
    payments.check_i23,
    payments.check_i24,
    payments.check_i25,
    payments.check_i26,
    people.check_i27,
    payments.check_i28,
    payments.check_i29,
    people.check_i32,
)


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


def _lacking(evidence: Evidence, invariant: Invariant) -> Invariant:
    """Not applicable, with the campaigns' packs and clause, when none of their flows has the step."""
    steps = STEPS.get(invariant.id)
    packs = {pack.id: pack for pack in evidence.campaign_packs().values()}
    if invariant.checked or invariant.not_applicable or steps is None or not packs:
        return invariant
    if any(name in step.events for pack in packs.values() for step in pack.flow for name in steps):
        return invariant
    clause = " ".join(f"{name} flow, D-40" for name in sorted(packs))
    return msgspec.structs.replace(invariant, not_applicable=clause)


def audit(
    evidence: Evidence,
    projections: Sequence[ReplayedProjection] = (),
    gauges: Mapping[str, int] | None = None,
    faults: Sequence[str] = (),
) -> AuditReport:
    """All invariants and the money over what was read."""
    found = [check(evidence) for check in CHECKS]
    found += [check_i30(evidence, projections), check_i31(evidence)]
    invariants = tuple(sorted((_lacking(evidence, each) for each in found), key=lambda each: each.id))
    money = audit_money(evidence)
    seen = [*faults, *(f"GAUGE_DIFFERS {name}" for name, fen in (gauges or {}).items() if fen)]
    if money.records_compared == 0:
        seen.append("NOTHING_COMPARED")
    return AuditReport(
        clean=all(each.holds for each in invariants) and money.unaccounted_fen == 0 and not seen,
        invariants=invariants,
        unaccounted_fen=money.unaccounted_fen,
        difference_fen=money.difference_fen,
        records_compared=money.records_compared,
        events={service: len(rows) for service, rows in evidence.logs.items()},
        event_types=dict(Counter(row.type for rows in evidence.logs.values() for row in rows)),
        states=money.states,
        broken=money.broken,
        differences=money.differences,
        projections=tuple(projections),
        gauges=dict(gauges or {}),
        faults=tuple(seen),
    )
