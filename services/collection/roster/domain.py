"""Generating, reviewing, publishing, amending and finalising a roster (下发清册). Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from services.collection.obligations.facts import CampaignFact, campaign_refusal
from services.collection.roster import events as e
from services.collection.roster.events import RosterEntry, RosterRemoval
from services.collection.roster.lines import line_events, ordered, parts, totals
from services.collection.roster.state import LineKey, Roster
from shared.kernel.division import is_division, within
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance
from shared.policy.pack import Pack
from shared.policy.terms import NoticeKind

ROLES = ("TAX_BRANCH", "TOWN_AGENCY")


class Line(msgspec.Struct, frozen=True):
    """A line named by its person and insurance; reason where it is taken off."""

    person_id: str
    insurance: Insurance
    reason: str = ""


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """初审: one signature."""

    role: str
    actor: str
    organisation: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Whose roster: ``roster_id`` is ``{campaign}.{village}``."""

    campaign: str
    village: str

    @property
    def roster_id(self) -> str:
        return f"{self.campaign}.{self.village}"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who owes in a village now: assessed, enrolled and alive. paid: lines that are paid already.

    lapsed: last year's payers who are not registered this year (D-12). dead: assessed, but deceased.
    """

    owed: Mapping[LineKey, RosterEntry]
    paid: frozenset[LineKey] = frozenset()
    dead: frozenset[str] = frozenset()
    lapsed: int = 0


def place_of(roster_id: str) -> Place | None:
    """The place of a roster id; None when it is none."""
    campaign, dot, village = roster_id.rpartition(".")
    return Place(campaign, village) if dot and is_division(village) and len(village) == 12 else None


def _state(rule: str, message: str, clause: str = "") -> Refusal:
    return Refusal("INVALID_STATE", rule, clause, "roster_id", message)


def _checked_pack(campaign: CampaignFact | None, place: Place) -> Pack | Refusal:
    refusal = campaign_refusal(campaign)
    if refusal is not None or campaign is None or campaign.pack is None:
        return refusal or Refusal("NO_CAMPAIGN", field="campaign")
    if not within(place.village, campaign.division):
        return Refusal("VALIDATION_FAILED", "DIVISION", field="village")
    return campaign.pack


def generate(state: Roster, place: Place, campaign: CampaignFact | None, candidates: Candidates) -> Decision:
    """Generate the list (缴费信息清册) from assessments; again while nobody formed a roster from it."""
    pack = _checked_pack(campaign, place)
    if isinstance(pack, Refusal):
        return pack
    if state.formed:
        return _state("ROSTER_FORMED", "征收清册已形成 / the roster is formed already")
    if not candidates.owed:
        return _state("ROSTER_EMPTY", "没有应缴人员 / nobody is assessed in this village")
    lines = ordered(candidates.owed.values())
    sums = totals(lines)
    header = e.PaymentInfoListGenerated(
        roster_id=place.roster_id,
        campaign=place.campaign,
        village=place.village,
        basis=pack.document.roster_basis.value,
        count=sums.count,
        lapsed_count=candidates.lapsed,
        standard_fen=sums.standard_fen,
        personal_fen=sums.personal_fen,
        digest=sums.digest,
    )
    split = parts(lines)
    return [
        header,
        *(
            e.PaymentInfoListLines(roster_id=place.roster_id, part=number, parts=len(split), lines=part)
            for number, part in enumerate(split, 1)
        ),
    ]


def review(state: Roster, place: Place, command: Review) -> Decision:
    """Sign the list; the second signature, by another person of another organisation, forms the roster."""
    if not state.generated:
        return _state("NOT_GENERATED", "清册未生成 / generate the list first")
    if state.formed:
        return _state("ROSTER_FORMED", "征收清册已形成 / the roster is formed already")
    if command.role not in ROLES:
        return Refusal("VALIDATION_FAILED", "REVIEW_ROLE", field="role")
    if command.role in state.reviews:
        return _state("REVIEWED", "该方已初审 / this side has reviewed already", "002:L135-137")
    for actor, organisation in state.reviews.values():
        if command.actor == actor or command.organisation == organisation:
            return Refusal(
                "FOUR_EYES", "REVIEWERS_DIFFER", "002:L135-137", "actor",
                "两方初审须为不同的人和单位 / two persons of two organisations review",
            )  # fmt: skip
    reviewed = e.RosterPreliminarilyReviewed(
        roster_id=place.roster_id,
        campaign=place.campaign,
        village=place.village,
        role=command.role,
        actor=command.actor,
        organisation=command.organisation,
        findings=command.findings,
    )
    events: list[Event] = [reviewed]
    if state.reviews:
        events += _formed(place, list(state.listed.values()))
    return events


def _formed(place: Place, lines: list[RosterEntry]) -> list[Event]:
    lines = ordered(lines)
    sums = totals(lines)
    header = e.CollectionRosterFormed(
        roster_id=place.roster_id,
        campaign=place.campaign,
        village=place.village,
        version=1,
        count=sums.count,
        standard_fen=sums.standard_fen,
        personal_fen=sums.personal_fen,
        digest=sums.digest,
    )
    return [header, *line_events(place.roster_id, place.campaign, place.village, 1, 0, lines)]


def dispatch(
    state: Roster,
    place: Place,
    campaign: CampaignFact | None,
    to: str,
    agents: tuple[str, ...],
    supplement: int = 0,
) -> Decision:
    """Hand the roster, or a supplement, to town and village; once per version."""
    pack = _checked_pack(campaign, place)
    if isinstance(pack, Refusal):
        return pack
    if not state.formed:
        return _state("NOT_FORMED", "征收清册未形成 / the roster is not formed")
    if supplement and supplement not in state.supplements:
        return Refusal("NOT_FOUND", "SUPPLEMENT", field="supplement")
    version = state.versions[supplement]
    if state.dispatched.get(supplement) == version:
        return []
    if supplement in state.dispatched:
        return _state(
            "NOTICE_STARTED", "清册已移交公示 / dispatched already: amendments need no new dispatch"
        )
    lines = list((state.supplements[supplement] if supplement else state.lines).values())
    sums = totals(lines)
    return [
        e.RosterDispatched(
            roster_id=place.roster_id,
            campaign=place.campaign,
            village=place.village,
            version=version,
            supplement=supplement,
            to=to,
            agents=agents,
            notice=pack.notice(NoticeKind.ROSTER) is not None,
            count=sums.count,
            standard_fen=sums.standard_fen,
            personal_fen=sums.personal_fen,
        )
    ]


def amend(
    state: Roster, place: Place, add: tuple[Line, ...], remove: tuple[Line, ...], candidates: Candidates
) -> Decision:
    """A new version (补充修改清册): lines added and taken off, amounts brought up to date (I-08).

    Dead and cancelled people are taken off without being named. Nothing to change: no event.
    """
    if not state.formed:
        return _state("NOT_FORMED", "征收清册未形成 / the roster is not formed")
    if state.final:
        return _state("ROSTER_FINAL", "清册已定稿 / the roster is final: form a supplement")
    kept = _without(state, remove, candidates)
    if isinstance(kept, Refusal):
        return kept
    lines, removed = kept
    for number, line in enumerate(add):
        key = (line.person_id, line.insurance)
        entry = candidates.owed.get(key)
        if entry is None:
            return Refusal(
                "AMOUNT_NOT_ASSESSED",
                "I-08",
                "I-08",
                f"add.{number}",
                "未核定或已死亡 / not assessed, or deceased",
            )
        if key in lines:
            return Refusal(
                "ALREADY_EXISTS", "I-08", "I-08", f"add.{number}", "已在清册 / on the roster already"
            )
        lines[key] = entry
    changed = sum(state.lines.get(key, entry) != entry for key, entry in lines.items())
    added = sum(key not in state.lines for key in lines)
    if not (added or removed or changed):
        return []
    version = state.version + 1
    found = ordered(lines.values())
    sums = totals(found)
    header = e.RosterAmended(
        roster_id=place.roster_id,
        campaign=place.campaign,
        village=place.village,
        version=version,
        added=added,
        removed=tuple(removed),
        changed=changed,
        count=sums.count,
        standard_fen=sums.standard_fen,
        personal_fen=sums.personal_fen,
        digest=sums.digest,
    )
    return [header, *line_events(place.roster_id, place.campaign, place.village, version, 0, found)]


def _without(
    state: Roster, remove: tuple[Line, ...], candidates: Candidates
) -> tuple[dict[LineKey, RosterEntry], list[RosterRemoval]] | Refusal:
    """Today's entries of the lines that stay, and the removals with their reasons."""
    reasons: dict[LineKey, str] = {}
    for number, line in enumerate(remove):
        key = (line.person_id, line.insurance)
        if key not in state.lines:
            return Refusal("NOT_ON_ROSTER", "I-08", field=f"remove.{number}")
        if key in candidates.paid:
            return Refusal(
                "ALREADY_PAID", "I-21", "I-21", f"remove.{number}", "已缴费，不能移除 / paid: the line stays"
            )
        reasons[key] = line.reason or "REMOVED"
    lines: dict[LineKey, RosterEntry] = {}
    removed: list[RosterRemoval] = []
    for key, before in state.lines.items():
        entry = candidates.owed.get(key)
        if entry is None and key in candidates.paid:
            entry = before
        reason = reasons.get(key, "")
        if entry is None and not reason:
            reason = "DEATH" if key[0] in candidates.dead else "CANCELLED"
        if reason:
            removed.append(RosterRemoval(key[0], key[1], reason))
        elif entry is not None:
            lines[key] = entry
    return lines, removed


def finalise(state: Roster, place: Place, candidates: Candidates) -> Decision:
    """Make the roster final: its notice over, its objections resolved, nobody on it dead or cancelled.

    Its amounts are those assessed now: what is final is what agents collect by (I-08, I-14).
    """
    if not state.formed or 0 not in state.dispatched:
        return _state("NOT_DISPATCHED", "清册未移交 / the roster was not published")
    if state.final:
        return []
    if 0 in state.awaited:
        return _state("NOTICE_OPEN", "公示未结束 / its notice is still open", "I-09")
    if state.open_objections("ROSTER"):
        return _state("OBJECTIONS_OPEN", "尚有未处理异议 / objections are open", "I-09")
    stale = [key for key in state.lines if key not in candidates.owed and key not in candidates.paid]
    if stale:
        return _state(
            "ROSTER_STALE", "清册含死亡或注销人员，请先修改 / dead or cancelled people: amend first", "I-08"
        )
    if any(_reassessed(line, candidates.owed.get(key)) for key, line in state.lines.items()):
        return _state(
            "ROSTER_STALE", "有金额已重新核定，请先修改 / amounts were reassessed: amend first", "I-08"
        )
    sums = totals(list(state.lines.values()))
    return [
        e.RosterFinalized(
            roster_id=place.roster_id,
            campaign=place.campaign,
            village=place.village,
            version=state.version,
            count=sums.count,
            standard_fen=sums.standard_fen,
            personal_fen=sums.personal_fen,
        )
    ]


def _reassessed(line: RosterEntry, now: RosterEntry | None) -> bool:
    """True when whoever is listed owes another amount now."""
    return now is not None and (line.standard_fen, line.personal_fen) != (now.standard_fen, now.personal_fen)


def supplement(state: Roster, place: Place, candidates: Candidates) -> Decision:
    """A supplementary roster of everyone assessed since the final one (D-46)."""
    if not state.final:
        return _state("NOT_FINAL", "清册未定稿 / the roster is not final: amend it")
    new = ordered(entry for key, entry in candidates.owed.items() if not state.listed_anywhere(key))
    if not new:
        return _state("NOTHING_TO_ADD", "没有新增人员 / nobody is to be added", "D-46")
    number, version = len(state.supplements) + 1, state.version + 1
    sums = totals(new)
    header = e.SupplementaryRosterFormed(
        roster_id=place.roster_id,
        campaign=place.campaign,
        village=place.village,
        version=version,
        supplement=number,
        count=sums.count,
        standard_fen=sums.standard_fen,
        personal_fen=sums.personal_fen,
        digest=sums.digest,
    )
    return [header, *line_events(place.roster_id, place.campaign, place.village, version, number, new)]


def note_notice_closed(
    state: Roster, place: Place, notice_id: str, version: int, closed_on: dt.date
) -> list[Event]:
    """Keep that the notice on a dispatched version is over (I-09); again is nothing new."""
    number = next((found for found, sent in state.dispatched.items() if sent == version), None)
    if number is None or number not in state.awaited:
        return []
    return [
        e.RosterNoticeClosedNoted(
            roster_id=place.roster_id,
            notice_id=notice_id,
            version=version,
            supplement=number,
            closed_on=closed_on,
        )
    ]
