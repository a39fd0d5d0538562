"""A notice (公示): its days, its objections, and when it may close (I-09). Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from services.notification.notices import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

ROSTER = "ROSTER"
ROSTER_CLAIMS = frozenset({"NOT_LISTED", "WRONG_AMOUNT", "WRONG_PERSON", "MOVED_AWAY"})
PAYMENT_ISSUES = frozenset({"PAID_NOT_LISTED", "WRONG_AMOUNT", "NOT_PAID_LISTED"})


@dataclass(frozen=True, slots=True)
class StartNotice:
    """开始公示: of a roster (kind ROSTER) or of payments. ``days`` come from the campaign's pack."""

    notice_id: str
    kind: str
    campaign: str
    village: str
    roster_id: str
    roster_version: int
    days: int


@dataclass(frozen=True, slots=True)
class RaiseObjection:
    """提出异议. ``claim`` is a roster claim or a payment issue, by the notice's kind."""

    person_id: str
    claim: str
    insurance: Insurance | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """State of ``notice:{id}``. objections: id -> resolved; claimed: id -> who claims what."""

    kind: str = ""
    campaign: str = ""
    village: str = ""
    roster_id: str = ""
    roster_version: int = 0
    to_date: dt.date | None = None
    closed: bool = False
    objections: dict[str, bool] = field(default_factory=dict)
    claimed: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def started(self) -> bool:
        """True once the notice runs or has run."""
        return self.kind != ""

    @property
    def open_objections(self) -> int:
        """Objections nobody has resolved yet."""
        return sum(not resolved for resolved in self.objections.values())

    def awaits(self, person_id: str, claim: str) -> bool:
        """True while a person's objection of that claim is open."""
        return any(
            not self.objections[objection_id]
            for objection_id, held in self.claimed.items()
            if held == (person_id, claim)
        )


def evolve(state: Notice, event: Event) -> Notice:
    """Fold one event."""
    match event:
        case e.RosterNoticeStarted():
            return Notice(
                ROSTER, event.campaign, event.village, event.roster_id, event.roster_version, event.to_date
            )
        case e.PaymentNoticeStarted():
            return Notice(event.kind, event.campaign, event.village, event.roster_id, 0, event.to_date)
        case e.RosterObjectionRaised() | e.PaymentObjectionRaised():
            claim = event.claim if isinstance(event, e.RosterObjectionRaised) else event.issue
            return replace(
                state,
                objections={**state.objections, event.objection_id: False},
                claimed={**state.claimed, event.objection_id: (event.person_id, claim)},
            )
        case e.ObjectionResolutionReceived():
            return replace(state, objections={**state.objections, event.objection_id: True})
        case e.RosterNoticeClosed() | e.PaymentNoticeClosed():
            return replace(state, closed=True)
        case _:
            return state


def start_notice(state: Notice, command: StartNotice, today: dt.date) -> Decision:
    """Start once; a repeated dispatch finds the notice running and changes nothing (I-09)."""
    if state.started:
        return []
    if command.days < 1:
        return Refusal("NOTICE_DAYS_INVALID", rule="I-09", field="days", message="公示天数无效 / no days")
    last = today + dt.timedelta(days=command.days - 1)
    if command.kind == ROSTER:
        return [
            e.RosterNoticeStarted(
                notice_id=command.notice_id,
                campaign=command.campaign,
                village=command.village,
                roster_id=command.roster_id,
                roster_version=command.roster_version,
                from_date=today,
                to_date=last,
                days=command.days,
            )
        ]
    return [
        e.PaymentNoticeStarted(
            notice_id=command.notice_id,
            campaign=command.campaign,
            village=command.village,
            roster_id=command.roster_id,
            kind=command.kind,
            from_date=today,
            to_date=last,
            days=command.days,
        )
    ]


def raise_objection(state: Notice, notice_id: str, command: RaiseObjection) -> Decision:
    """An objection while the notice runs; one open objection per person and claim."""
    if not state.started:
        return Refusal("NOTICE_UNKNOWN", rule="I-09", message="没有此公示 / no such notice")
    if state.closed:
        return Refusal("NOTICE_CLOSED", rule="I-09", message="公示已结束 / the notice is closed")
    claims = ROSTER_CLAIMS if state.kind == ROSTER else PAYMENT_ISSUES
    if command.claim not in claims:
        return Refusal(
            "CLAIM_UNKNOWN", rule="I-09", field="claim", message="异议类型不适用 / not a claim here"
        )
    if state.awaits(command.person_id, command.claim):
        return Refusal(
            "INVALID_STATE",
            rule="OBJECTION_OPEN",
            clause="I-09",
            field="claim",
            message="同一异议尚未处理 / the same objection is open",
        )
    objection_id = objection_number(notice_id, len(state.objections) + 1)
    if state.kind == ROSTER:
        return [
            e.RosterObjectionRaised(
                objection_id=objection_id,
                notice_id=notice_id,
                campaign=state.campaign,
                village=state.village,
                roster_id=state.roster_id,
                person_id=command.person_id,
                insurance=command.insurance,
                claim=command.claim,
            )
        ]
    return [
        e.PaymentObjectionRaised(
            objection_id=objection_id,
            notice_id=notice_id,
            campaign=state.campaign,
            village=state.village,
            kind=state.kind,
            person_id=command.person_id,
            insurance=command.insurance,
            issue=command.claim,
        )
    ]


def receive_resolution(state: Notice, notice_id: str, objection_id: str, outcome: str) -> Decision:
    """Collection's answer to an objection; repeated answers change nothing."""
    if objection_id not in state.objections:
        return Refusal("OBJECTION_UNKNOWN", rule="I-09", message="没有此异议 / no such objection")
    if state.objections[objection_id]:
        return []
    return [
        e.ObjectionResolutionReceived(
            objection_id=objection_id,
            notice_id=notice_id,
            campaign=state.campaign,
            village=state.village,
            outcome=outcome,
        )
    ]


def close_notice(state: Notice, notice_id: str, today: dt.date) -> Decision:
    """Close on a day after the last one, when every objection is resolved (I-09)."""
    if not state.started:
        return Refusal("NOTICE_UNKNOWN", rule="I-09", message="没有此公示 / no such notice")
    if state.closed:
        return []
    if state.to_date is None or today <= state.to_date:
        return Refusal("NOTICE_RUNNING", rule="I-09", message="公示期未满 / the days have not run")
    if state.open_objections:
        return Refusal("OBJECTIONS_OPEN", rule="I-09", message="尚有异议未处理 / objections are open")
    if state.kind == ROSTER:
        return [
            e.RosterNoticeClosed(
                notice_id=notice_id,
                campaign=state.campaign,
                village=state.village,
                roster_id=state.roster_id,
                roster_version=state.roster_version,
                closed_on=today,
            )
        ]
    return [
        e.PaymentNoticeClosed(
            notice_id=notice_id,
            campaign=state.campaign,
            village=state.village,
            roster_id=state.roster_id,
            kind=state.kind,
            closed_on=today,
        )
    ]


def objection_number(notice_id: str, ordinal: int) -> str:
    """Objections are numbered within their notice."""
    return f"{notice_id}-O{ordinal}"


def roster_notice_id(roster_id: str, version: int) -> str:
    """One notice per version of a roster."""
    return f"N-ROSTER-{roster_id}-{version}"


def payment_notice_id(kind: str, roster_id: str) -> str:
    """One notice per kind and village roster, e.g. ``N-PRE_DECLARATION-370406-2020.370406101201``."""
    return f"N-{kind}-{roster_id}"
