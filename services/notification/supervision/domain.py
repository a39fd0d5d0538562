"""A case (案件): opened by its first rule hit, closed with a finding. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.notification.supervision import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

RETENTION = "FUND_RETENTION"
ADVANCE = "ADVANCE_FUNDING"
SHORTFALL = "SHORTFALL"
PAID_IN_VAIN = "REFUND_PAID_IN_VAIN"

_FLAGS: dict[str, type[e.Flagged]] = {
    RETENTION: e.FundRetentionFlagged,
    ADVANCE: e.AdvanceFundingFlagged,
    SHORTFALL: e.ShortfallFlagged,
    PAID_IN_VAIN: e.RefundPaidInVainFlagged,
}


@dataclass(frozen=True, slots=True)
class Flag:
    """登记线索: one rule hit with its evidence (event ids)."""

    rule: str
    subject: str
    campaign: str
    village: str
    insurance: Insurance
    date: dt.date
    fen: int
    evidence: tuple[str, ...]

    @property
    def case_id(self) -> str:
        """One case per rule, subject, insurance and business date."""
        return f"{self.rule}-{self.campaign}-{self.village}-{self.insurance}-{self.date:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class Case:
    """State of ``case:{id}``."""

    opened: bool = False
    closed: bool = False
    hits: frozenset[tuple[str, ...]] = frozenset()


def evolve(state: Case, event: Event) -> Case:
    """Fold one event."""
    match event:
        case e.Flagged():
            return replace(state, hits=state.hits | {event.evidence})
        case e.AuditCaseOpened():
            return replace(state, opened=True)
        case e.AuditCaseClosed():
            return replace(state, closed=True)
        case _:
            return state


def flag(state: Case, command: Flag, today: dt.date) -> Decision:
    """Record the hit; the first one opens the case. The same evidence twice is one hit."""
    if command.evidence in state.hits:
        return []
    hit = _FLAGS[command.rule](
        case_id=command.case_id,
        subject=command.subject,
        rule=command.rule,
        campaign=command.campaign,
        village=command.village,
        insurance=command.insurance,
        date=command.date,
        fen=command.fen,
        evidence=command.evidence,
    )
    if state.opened:
        return [hit]
    opened = e.AuditCaseOpened(
        case_id=command.case_id,
        subject=command.subject,
        rule=command.rule,
        campaign=command.campaign,
        village=command.village,
        opened_on=today,
    )
    return [hit, opened]


def close_case(state: Case, case_id: str, finding: str, closed_by: str, today: dt.date) -> Decision:
    """Close with a finding; a second closing is refused."""
    if not state.opened:
        return Refusal("CASE_UNKNOWN", message="没有此案件 / no such case")
    if state.closed:
        return Refusal("CASE_CLOSED", message="案件已结 / the case is closed")
    if not finding.strip():
        return Refusal("FINDING_MISSING", field="finding", message="结案须有结论 / a finding is needed")
    return [e.AuditCaseClosed(case_id=case_id, finding=finding.strip(), closed_by=closed_by, closed_on=today)]
