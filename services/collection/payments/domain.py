"""Deciding an order (缴费订单): each line against its obligation, all lines or none. Pure.

An *asked* order is refused when a rule says no. *Captured* money is final: it is recorded whatever the rules
say, and what cannot be effective gets a standing that opens a refund or a task (I-14..I-17).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from services.collection.obligations.domain import Assessment, Obligation
from services.collection.obligations.domain import evolve as evolve_obligation
from services.collection.obligations.facts import AgentFact, CampaignFact, RosterFact, campaign_refusal
from services.collection.payments import events as p
from services.collection.payments.online import OnlineTerms, online_terms
from services.collection.payments.orders import Key, Order, OrderLine
from services.collection.payments.recording import LineRecorder
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.policy.pack import Pack
from shared.policy.terms import ChannelKind


class Knowledge(msgspec.Struct, frozen=True):
    """Facts of an order: campaigns by id, deaths by person, rosters by (campaign, insurance, person)."""

    campaigns: Mapping[str, CampaignFact] = {}
    deaths: Mapping[str, dt.date] = {}
    rosters: Mapping[tuple[str, Insurance, str], RosterFact] = {}
    agents: Mapping[str, AgentFact] = {}


@dataclass(frozen=True, slots=True)
class SuspenseLine:
    """A line nobody's obligation fitted, until it is identified."""

    line_id: str
    insurance: Insurance
    year: int
    campaign: str
    village: str
    fen: int
    paid_at: dt.datetime
    agent_id: str
    identified: bool = False


@dataclass(frozen=True, slots=True)
class Suspense:
    """State of ``suspense:{channel}:{order_no}``."""

    lines: Mapping[str, SuspenseLine] = field(default_factory=dict)


def evolve_suspense(state: Suspense, event: Event) -> Suspense:
    """Fold one event."""
    match event:
        case p.UnidentifiedMoneyRecorded():
            line = SuspenseLine(
                event.line_id, event.insurance, event.year, event.campaign, event.village, event.fen,
                event.paid_at, event.agent_id,
            )  # fmt: skip
            return replace(state, lines={**state.lines, event.line_id: line})
        case p.UnidentifiedMoneyIdentified():
            line = replace(state.lines[event.line_id], identified=True)
            return replace(state, lines={**state.lines, event.line_id: line})
        case _:
            return state


@dataclass(frozen=True, slots=True)
class ReceiptState:
    """State of ``receipt:{book}:{serial}``. status: "", ISSUED or VOIDED."""

    status: str = ""
    payment_id: str = ""


def evolve_receipt(state: ReceiptState, event: Event) -> ReceiptState:
    """Fold one event."""
    match event:
        case p.ReceiptIssued():
            return ReceiptState("ISSUED", event.payment_id)
        case p.ReceiptVoided():
            return ReceiptState("VOIDED")
        case _:
            return state


class PlacedLine(msgspec.Struct, frozen=True):
    """Where a line went. events: on the obligation (``key`` set) or on the suspense (None); none when known.

    fen: what is recorded, which for a known line may differ from what the channel's file says.
    """

    line_id: str
    line: OrderLine
    standing: str
    village: str
    campaign: str
    fen: int
    key: Key | None
    events: tuple[Event, ...] = ()

    @property
    def known(self) -> bool:
        return not self.events


class Placement(msgspec.Struct, frozen=True):
    """A decided order. repeated: every line was recorded before, nothing is to be written."""

    lines: tuple[PlacedLine, ...]
    receipt: tuple[Event, ...] = ()

    @property
    def repeated(self) -> bool:
        return all(line.known for line in self.lines)


ORDER_NO_TAKEN = Refusal(
    "ORDER_NO_TAKEN",
    rule="I-17",
    field="order_no",
    message="该渠道的订单号已用于另一笔缴费 / the channel's order number was used for another payment",
)


def place_order(
    order: Order,
    obligations: Mapping[Key, Obligation],
    known: Knowledge,
    suspense: Suspense | None = None,
    receipt: ReceiptState | None = None,
) -> Placement | Refusal:
    """Decide all lines of an order, each on the state the lines before it left."""
    states = dict(obligations)
    before = _recorded_before(order, states, suspense)
    strange = any(before)
    if strange and not order.filed:
        return _repeat(order, before)
    placed: list[PlacedLine] = []
    again = len(states) < len(order.lines)  # an obligation is named twice: later lines see the earlier ones
    for number, line in enumerate(order.lines, 1):
        found = before[number - 1]
        if found is not None:
            placed.append(found)
            continue
        # A file that names lines its order never had cannot take the numbers of those it had.
        line_id = free_line_id(order, "x" if strange else "", number, suspense)
        outcome = _place_line(order, line, line_id, number - 1, states[line.key], known, strange=strange)
        if isinstance(outcome, Refusal):
            return outcome
        if again and outcome.key is not None:
            for event in outcome.events:
                states[line.key] = evolve_obligation(states[line.key], event)
        placed.append(outcome)
    issued = _issue_receipt(order, placed, known, receipt)
    return issued if isinstance(issued, Refusal) else Placement(tuple(placed), issued)


def free_line_id(order: Order, mark: str, number: int, suspense: Suspense | None) -> str:
    """``{payment}/{mark}{number}``, counted on while a line of an earlier file waits under it."""
    taken = suspense.lines if suspense is not None else {}
    payment_id = order.payment_id
    while (line_id := f"{payment_id}/{mark}{number}") in taken:
        number += len(order.lines)
    return line_id


def _recorded_before(
    order: Order, states: Mapping[Key, Obligation], suspense: Suspense | None
) -> list[PlacedLine | None]:
    used: set[str] = set()
    found: list[PlacedLine | None] = []
    for line in order.lines:
        state, match = states[line.key], None
        if state.lines:
            match = _on_obligation(order, line, state, used)
        if match is None and suspense is not None and suspense.lines:
            match = in_suspense(order, line, suspense, used)
        if match is not None:
            used.add(match.line_id)
        found.append(match)
    return found


def _on_obligation(order: Order, line: OrderLine, state: Obligation, used: set[str]) -> PlacedLine | None:
    for paid in state.lines.values():
        if (paid.channel, paid.order_no) == (order.channel, order.order_no) and paid.line_id not in used:
            return PlacedLine(
                paid.line_id, line, paid.standing, paid.village, paid.campaign, paid.fen, line.key
            )
    return None


def in_suspense(order: Order, line: OrderLine, suspense: Suspense, used: set[str]) -> PlacedLine | None:
    for waiting in suspense.lines.values():
        same = (waiting.fen, waiting.insurance, waiting.year) == (line.fen, line.insurance, line.year)
        if same and waiting.line_id not in used:
            standing = "IDENTIFIED" if waiting.identified else "UNIDENTIFIED"
            return PlacedLine(
                waiting.line_id, line, standing, waiting.village, waiting.campaign, waiting.fen, None
            )
    return None


def _repeat(order: Order, before: Sequence[PlacedLine | None]) -> Placement | Refusal:
    """The same order once more is answered as before; anything else under its number is refused."""
    lines = [found for found in before if found is not None]
    same = len(lines) == len(order.lines) and all(found.fen == found.line.fen for found in lines)
    return Placement(tuple(lines)) if same else ORDER_NO_TAKEN


def _place_line(
    order: Order,
    line: OrderLine,
    line_id: str,
    index: int,
    state: Obligation,
    known: Knowledge,
    *,
    strange: bool,
) -> PlacedLine | Refusal:
    field_name = f"lines.{index}"
    assessment = state.assessment
    if assessment is None or strange:
        if order.captured:
            return to_suspense(order, line, line_id, known, "ORDER_MISMATCH" if strange else "NOT_ASSESSED")
        return Refusal(
            "AMOUNT_NOT_ASSESSED",
            rule=state.refused or "NOT_ASSESSED",
            clause="I-14",
            field=field_name,
            message="没有核定应缴 / nothing is assessed",
        )
    campaign = known.campaigns.get(assessment.campaign)
    refusal = campaign_refusal(campaign) or _outside_division(order, assessment, field_name)
    if refusal is not None or campaign is None or campaign.pack is None:
        return refusal or Refusal("NO_CAMPAIGN", field=field_name)
    online = online_terms(order, line, state, campaign, campaign.pack)
    due = assessment if online is None else online.assessment
    standing, event, refusal = _judge(
        order, line, line_id, field_name, state, due, campaign, campaign.pack, known
    )
    if refusal is not None:
        return refusal if online is None else _told_why(refusal, online)
    events: tuple[Event, ...] = (event,)
    if online is not None and standing == "EFFECTIVE":
        events = (online.event, online.kept(order, line), event)
    return PlacedLine(line_id, line, standing, due.village, due.campaign, line.fen, line.key, events)


def _told_why(refusal: Refusal, online: OnlineTerms) -> Refusal:
    """A wrong amount online names the rule that made it another than the roster's."""
    if refusal.code != "AMOUNT_NOT_ASSESSED":
        return refusal
    return Refusal(
        refusal.code,
        online.rule,
        online.clause,
        refusal.field,
        "网上缴费金额与清册不同 / online the amount differs from the roster's",
    )


def _judge(
    order: Order,
    line: OrderLine,
    line_id: str,
    field_name: str,
    state: Obligation,
    assessment: Assessment,
    campaign: CampaignFact,
    pack: Pack,
    known: Knowledge,
) -> tuple[str, Event, Refusal | None]:
    """Standing and event of a line; a refusal only for asked orders."""
    recorder = LineRecorder(order, line, line_id, assessment)
    died_on = state.died_on or known.deaths.get(line.person_id)
    refusal: Refusal | None = None
    if died_on is not None and order.paid_on > died_on:
        refusal = Refusal("PERSON_DECEASED", rule="I-16", clause="I-16", field=field_name)
        standing, event = "AFTER_DEATH", recorder.after_death(died_on)
    elif state.effective is not None:
        refusal = Refusal("ALREADY_PAID", rule="I-17", clause="I-17", field=field_name)
        standing, event = "DUPLICATE", recorder.duplicate(state.effective)
    elif line.fen != (due := assessment.personal_fen) or due == 0:
        rule = "I-14" if due else "NOTHING_DUE"
        refusal = Refusal("AMOUNT_NOT_ASSESSED", rule=rule, clause="I-14", field=f"{field_name}.amount_fen")
        standing, event = "WRONG_AMOUNT", recorder.misfit("WRONG_AMOUNT")
    else:
        timing = _timing(order, line, assessment, campaign, pack, field_name)
        agent = known.agents.get(assessment.campaign) if order.agent_id else None
        if isinstance(timing, Refusal):
            refusal = timing
            standing, event = "OUT_OF_WINDOW", recorder.misfit("OUT_OF_WINDOW")
        else:
            refusal = (
                None
                if order.captured
                else _agent_refusal(order, line, assessment, pack, agent, known, field_name)
            )
            standing, event = "EFFECTIVE", recorder.received(agent, *timing)
    return standing, event, None if order.captured else refusal


def _outside_division(order: Order, assessment: Assessment, field_name: str) -> Refusal | None:
    if assessment.village.startswith(order.divisions):
        return None
    return Refusal("DIVISION_FORBIDDEN", field=field_name)


def _timing(
    order: Order, line: OrderLine, assessment: Assessment, campaign: CampaignFact, pack: Pack, field_name: str
) -> tuple[bool, bool] | Refusal:
    """(late, out_of_window), or why the channel does not take this insurance on this day."""
    channel = pack.channel(order.channel)
    if channel is None or line.insurance not in channel.insurances:
        return Refusal("CHANNEL_NOT_ALLOWED", rule="NOT_NAMED", field="channel")
    by_agent = bool(order.agent_id)
    if by_agent and ChannelKind.AGENT not in channel.kinds:
        return Refusal("CHANNEL_NOT_ALLOWED", rule="NOT_FOR_AGENTS", field="channel", clause=channel.clause)
    if not by_agent and channel.kinds == (ChannelKind.AGENT,):
        return Refusal("CHANNEL_NOT_ALLOWED", rule="AGENT_REQUIRED", field="agent", clause=channel.clause)
    if assessment.special_assessment_no:
        if assessment.valid_to is None or order.paid_on <= assessment.valid_to:
            return True, False
        return Refusal("OUTSIDE_WINDOW", rule="SPECIAL_ASSESSMENT_EXPIRED", field="paid_at")
    paid_on = order.paid_on
    opened = pack.channel_open(order.channel, line.insurance, by_agent, campaign.extended_to)
    if opened is not None and opened[0] <= paid_on <= opened[1]:
        return False, False
    if not by_agent and opened is not None and _in_gap(pack, line.insurance, opened[1], paid_on):
        return False, True
    clause = pack.window(line.insurance).clause
    return Refusal("OUTSIDE_WINDOW", rule="WINDOW", clause=clause, field="paid_at")


def _in_gap(pack: Pack, insurance: Insurance, window_end: dt.date, day: dt.date) -> bool:
    """Days between the window's end and the first late day: taken at the ordinary amount, tagged (D-22)."""
    late_from = pack.parameter(pack.document.medical.late.start)
    if insurance is not Insurance.MEDICAL or late_from is None or not isinstance(late_from.value, str):
        return False
    return window_end < day < dt.date.fromisoformat(late_from.value)


def _agent_refusal(
    order: Order,
    line: OrderLine,
    assessment: Assessment,
    pack: Pack,
    agent: AgentFact | None,
    known: Knowledge,
    field_name: str,
) -> Refusal | None:
    """What binds an agent only: authority, scope, roster and its notice, receipt (I-07, I-09, I-19)."""
    if not order.agent_id:
        return None
    if agent is None or not agent.may_collect(line.insurance, assessment.village):
        return Refusal("DIVISION_FORBIDDEN", rule="AGENT_NOT_AUTHORISED", field="agent")
    if agent.channels and order.channel not in agent.channels:
        return Refusal("CHANNEL_NOT_ALLOWED", rule="AGENT_CHANNEL", field="channel")
    if agent.mode == "FALLBACK" and not assessment.category:
        return Refusal("CHANNEL_NOT_ALLOWED", rule="I-07", clause="D-41", field=field_name)
    roster = known.rosters.get((assessment.campaign, line.insurance, line.person_id))
    if roster is None and pack.has_roster:
        return Refusal("NOT_ON_ROSTER", rule="I-09", field=field_name)
    if roster is not None and not roster.notice_closed:
        return Refusal("ROSTER_NOTICE_OPEN", rule="I-09", field=field_name)
    if order.receipt is None and pack.receipt_required(order.channel):
        return Refusal("RECEIPT_REQUIRED", rule="I-19", field="receipt")
    return None


def to_suspense(order: Order, line: OrderLine, line_id: str, known: Knowledge, reason: str) -> PlacedLine:
    agent = next(iter(known.agents.values()), None) if order.agent_id else None
    only = next(iter(known.campaigns)) if len(known.campaigns) == 1 else ""
    campaign = agent.campaign if agent is not None else order.campaign or only
    village = agent.village if agent is not None else ""
    event = p.UnidentifiedMoneyRecorded(
        channel=order.channel,
        order_no=order.order_no,
        payment_id=order.payment_id,
        line_id=line_id,
        insurance=line.insurance,
        year=line.year,
        campaign=campaign,
        village=village,
        fen=line.fen,
        paid_at=order.paid_at,
        agent_id=order.agent_id,
        reason=reason,
    )
    return PlacedLine(line_id, line, "UNIDENTIFIED", village, campaign, line.fen, None, (event,))


def _issue_receipt(
    order: Order, placed: Sequence[PlacedLine], known: Knowledge, state: ReceiptState | None
) -> tuple[Event, ...] | Refusal:
    receipt = order.receipt
    if receipt is None or all(line.known for line in placed):
        return ()
    status = state.status if state is not None else ""
    if status:
        if not order.captured:
            code = "RECEIPT_USED" if status == "ISSUED" else "RECEIPT_VOIDED"
            return Refusal(code, rule="I-19", field="receipt")
        return (
            p.ReceiptReuseDetected(
                book_no=receipt.book_no,
                serial_no=receipt.serial_no,
                payment_id=order.payment_id,
                agent_id=order.agent_id,
                fen=order.fen,
            ),
        )
    return (
        p.ReceiptIssued(
            book_no=receipt.book_no,
            serial_no=receipt.serial_no,
            payment_id=order.payment_id,
            order_no=order.order_no,
            agent_id=order.agent_id,
            campaign=placed[0].campaign,
            village=placed[0].village,
            fen=order.fen,
            lines=len(order.lines),
            issued_at=order.paid_at,
        ),
    )
