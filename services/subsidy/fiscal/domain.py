"""Recording couples, and the way of a fiscal subsidy: claimed, appropriated, arrived (D-45). Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.subsidy.fiscal import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.policy import Pack

KINDS = ("MEDICAL_FISCAL", "PENSION_MATCHING", "FAMILY_PLANNING")
"""The moneys beside 代缴 (PERSONAL_PART): never mixed with it, nor with one another (D-45)."""


@dataclass(frozen=True, slots=True)
class Couple:
    """State of ``family-planning:{year}:{wife}``."""

    recorded: e.FamilyPlanningCoupleRecorded | None = None


@dataclass(frozen=True, slots=True)
class RecordCouple:
    """登记计生家庭."""

    campaign: str
    year: int
    kind: str
    wife_id: str
    husband_id: str
    department: str
    basis: str = ""


def evolve_couple(state: Couple, event: Event) -> Couple:
    """Fold one event."""
    return Couple(event) if isinstance(event, e.FamilyPlanningCoupleRecorded) else state


def record_couple(state: Couple, command: RecordCouple, pack: Pack) -> Decision:
    """Keep a couple of the plan's kinds, from the department that supplies them; once a year and wife (D-15)."""
    rule = pack.document.pension.family_planning
    if rule is None:
        return Refusal(
            "POLICY_UNSPECIFIED",
            "FAMILY_PLANNING_NOT_IN_PACK",
            field="campaign",
            message="方案没有计生家庭缴费补贴 / the plan has no such subsidy",
        )
    if command.department != rule.supplier:
        return Refusal("DEPARTMENT_NOT_SUPPLIER", "D-57", rule.clause, "department")
    if command.kind not in rule.kinds:
        return Refusal("VALIDATION_FAILED", "FAMILY_PLANNING_KIND", rule.clause, "kind")
    if command.wife_id == command.husband_id:
        return Refusal("VALIDATION_FAILED", "SPOUSES_DIFFER", field="husband_number")
    known = state.recorded
    if known is not None:
        if (known.kind, known.husband_id) == (command.kind, command.husband_id):
            return []
        return Refusal("ALREADY_EXISTS", "COUPLE_RECORDED", rule.clause, "wife_number")
    return [
        e.FamilyPlanningCoupleRecorded(
            campaign=command.campaign,
            year=command.year,
            kind=command.kind,
            wife_id=command.wife_id,
            husband_id=command.husband_id,
            department=command.department,
            basis=command.basis,
        )
    ]


@dataclass(frozen=True, slots=True)
class Subsidy:
    """State of ``fiscal-subsidy:{campaign}:{kind}``; fen."""

    heads: int = 0
    claimed_fen: int = 0
    appropriated_fen: int = 0
    arrived_fen: int = 0
    as_of: dt.date | None = None


@dataclass(frozen=True, slots=True)
class SubsidyKey:
    """Which subsidy of which campaign."""

    campaign: str
    year: int
    kind: str


def evolve(state: Subsidy, event: Event) -> Subsidy:
    """Fold one event; a claim restates, money adds up."""
    match event:
        case e.FiscalSubsidyClaimed():
            return replace(state, heads=event.heads, claimed_fen=event.fen, as_of=event.as_of)
        case e.FiscalSubsidyAppropriated():
            return replace(state, appropriated_fen=state.appropriated_fen + event.fen)
        case e.FiscalSubsidyArrived():
            return replace(state, arrived_fen=state.arrived_fen + event.fen)
        case _:
            return state


def claim(state: Subsidy, key: SubsidyKey, heads: int, fen: int, as_of: dt.date) -> list[Event]:
    """Claim what registration counted; an older count than the last is passed over."""
    if state.as_of is not None and as_of < state.as_of:
        return []
    if (state.heads, state.claimed_fen) == (heads, fen):
        return []
    return [
        e.FiscalSubsidyClaimed(
            kind=key.kind, campaign=key.campaign, year=key.year, heads=heads, fen=fen, as_of=as_of
        )
    ]


def appropriate(state: Subsidy, key: SubsidyKey, fen: int, on: dt.date) -> Decision:
    """Finance appropriates at most what is claimed and not appropriated yet."""
    if fen > state.claimed_fen - state.appropriated_fen:
        return Refusal("OVER_APPLICATION", "D-45", "D-45", "fen", "拨付超过申请 / more than was claimed")
    return [e.FiscalSubsidyAppropriated(kind=key.kind, campaign=key.campaign, year=key.year, fen=fen, on=on)]


def arrive(state: Subsidy, key: SubsidyKey, fen: int, on: dt.date, bank_ref: str) -> Decision:
    """Money arrives at most as it was appropriated."""
    if fen > state.appropriated_fen - state.arrived_fen:
        return Refusal(
            "OVER_APPROPRIATION", "D-45", "D-45", "fen", "到账超过拨付 / more than was appropriated"
        )
    return [
        e.FiscalSubsidyArrived(
            kind=key.kind, campaign=key.campaign, year=key.year, fen=fen, on=on, bank_ref=bank_ref
        )
    ]
