"""Objections (公示异议), signatures and stamps on a roster. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec

from services.collection.roster import events as e
from services.collection.roster.domain import Place
from services.collection.roster.state import Roster
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

OUTCOMES = ("UPHELD", "REJECTED")
ROSTER = "ROSTER"
PAYMENT = "PAYMENT"


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """An objection notification told of. kind: ROSTER or PAYMENT."""

    objection_id: str
    notice_id: str
    kind: str
    person_id: str
    insurance: Insurance | None
    claim: str


class Resolve(msgspec.Struct, frozen=True, kw_only=True):
    """处理异议. outcome: UPHELD or REJECTED; finding: why, without names or numbers."""

    objection_id: str
    outcome: str
    finding: str


@dataclass(frozen=True, slots=True)
class VoucherFacts:
    """The village's vouchers: whether there are some and all are in treasury, their lines and fen."""

    all_in_treasury: bool
    count: int
    fen: int


def note_objection(state: Roster, place: Place, raised: Raised) -> list[Event]:
    """Keep an objection until it is resolved; again is nothing new."""
    if raised.objection_id in state.objections:
        return []
    return [
        e.ObjectionNoted(
            objection_id=raised.objection_id,
            roster_id=place.roster_id,
            notice_id=raised.notice_id,
            kind=raised.kind,
            person_id=raised.person_id,
            insurance=raised.insurance,
            claim=raised.claim,
        )
    ]


def resolve_objection(state: Roster, place: Place, command: Resolve) -> Decision:
    """Resolve an objection once; the notice can close when all are resolved (I-09)."""
    found = state.objections.get(command.objection_id)
    if found is None:
        return Refusal(
            "NOT_FOUND", "OBJECTION", field="objection_id", message="没有这个异议 / no such objection here"
        )
    if command.outcome not in OUTCOMES:
        return Refusal("VALIDATION_FAILED", "OUTCOME", field="outcome")
    if found.outcome == command.outcome:
        return []
    if found.outcome:
        return Refusal("INVALID_STATE", "RESOLVED", "I-09", "objection_id", "异议已处理 / resolved already")
    kind = e.RosterObjectionResolved if found.kind == ROSTER else e.PaymentObjectionResolved
    return [
        kind(
            objection_id=command.objection_id,
            roster_id=place.roster_id,
            campaign=place.campaign,
            village=place.village,
            notice_id=found.notice_id,
            outcome=command.outcome,
            finding=command.finding,
        )
    ]


def sign(state: Roster, place: Place, actor: str, paid: tuple[int, int]) -> Decision:
    """The village signs what was paid (D-10): once, after the roster is final. paid: (count, fen)."""
    if not state.final:
        return Refusal(
            "INVALID_STATE", "NOT_FINAL", "D-10", "roster_id", "清册未定稿 / the roster is not final"
        )
    if state.signed:
        return []
    count, fen = paid
    return [
        e.VillageRosterSigned(
            roster_id=place.roster_id,
            campaign=place.campaign,
            village=place.village,
            actor=actor,
            count=count,
            fen=fen,
        )
    ]


def stamp(state: Roster, place: Place, actor: str, vouchers: VoucherFacts | None) -> Decision:
    """Tax stamps the paid roster (D-10): only when all of the village's vouchers are in treasury."""
    if not state.signed:
        return Refusal(
            "INVALID_STATE", "NOT_SIGNED", "D-10", "roster_id", "村居未签字 / the village has not signed"
        )
    if state.stamped:
        return []
    if vouchers is None or not vouchers.all_in_treasury:
        return Refusal(
            "INVALID_STATE",
            "NOT_IN_TREASURY",
            "002:L190",
            "roster_id",
            "费款未全部入库 / not all is in treasury",
        )
    return [
        e.PaymentNoticeStamped(
            roster_id=place.roster_id,
            campaign=place.campaign,
            village=place.village,
            actor=actor,
            count=vouchers.count,
            fen=vouchers.fen,
        )
    ]


def note_payment_notice_closed(
    state: Roster, place: Place, notice_id: str, kind: str, closed_on: dt.date
) -> list[Event]:
    """Keep that a payment notice is over; declarations wait for PRE_DECLARATION."""
    if kind in state.payment_notices:
        return []
    return [
        e.PaymentNoticeClosedNoted(
            roster_id=place.roster_id, notice_id=notice_id, kind=kind, closed_on=closed_on
        )
    ]
