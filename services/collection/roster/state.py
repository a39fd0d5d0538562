"""The state of a roster (清册), folded from its stream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.collection.roster import events as e
from services.collection.roster.events import RosterEntry
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

LineKey = tuple[str, Insurance]


@dataclass(frozen=True, slots=True)
class Objection:
    """An objection notification told of. kind: ROSTER or PAYMENT; outcome "" while open."""

    kind: str
    notice_id: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Roster:
    """State of ``roster:{campaign}:{village}``.

    listed: lines of the generated list; lines: of the formed version; supplements: lines per number from 1.
    dispatched: supplement number (0 the main roster) -> dispatched version; notices: numbers whose notice
    is still to close; closed: numbers whose notice is over.
    """

    generated: bool = False
    listed: Mapping[LineKey, RosterEntry] = field(default_factory=dict)
    reviews: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    version: int = 0
    lines: Mapping[LineKey, RosterEntry] = field(default_factory=dict)
    supplements: Mapping[int, Mapping[LineKey, RosterEntry]] = field(default_factory=dict)
    versions: Mapping[int, int] = field(default_factory=dict)
    dispatched: Mapping[int, int] = field(default_factory=dict)
    awaited: frozenset[int] = frozenset()
    objections: Mapping[str, Objection] = field(default_factory=dict)
    final: bool = False
    signed: bool = False
    stamped: bool = False
    payment_notices: frozenset[str] = frozenset()

    @property
    def formed(self) -> bool:
        """True from the second review on."""
        return self.version > 0

    def listed_anywhere(self, key: LineKey) -> bool:
        """True when the main roster or a supplement has the line."""
        return key in self.lines or any(key in lines for lines in self.supplements.values())

    def open_objections(self, kind: str) -> int:
        """Objections of a kind without an outcome."""
        return sum(found.kind == kind and not found.outcome for found in self.objections.values())


def key_of(entry: RosterEntry) -> LineKey:
    """(person_id, insurance)."""
    return entry.person_id, entry.insurance


def evolve(state: Roster, event: Event) -> Roster:
    """Fold one event."""
    return _evolve_signatures(_evolve_notices(_evolve_lines(state, event), event), event)


def _evolve_lines(state: Roster, event: Event) -> Roster:
    match event:
        case e.PaymentInfoListGenerated():
            return replace(state, generated=True, listed={}, reviews={})
        case e.PaymentInfoListLines():
            return replace(state, listed={**state.listed, **_keyed(event.lines)})
        case e.CollectionRosterFormed() | e.RosterAmended():
            versions = {**state.versions, 0: event.version}
            return replace(state, version=event.version, versions=versions, lines={})
        case e.SupplementaryRosterFormed():
            return replace(
                state,
                version=event.version,
                versions={**state.versions, event.supplement: event.version},
                supplements={**state.supplements, event.supplement: {}},
            )
        case e.RosterLines() if event.supplement == 0:
            return replace(state, lines={**state.lines, **_keyed(event.lines)})
        case e.RosterLines():
            lines = {**state.supplements.get(event.supplement, {}), **_keyed(event.lines)}
            return replace(state, supplements={**state.supplements, event.supplement: lines})
        case _:
            return state


def _keyed(lines: tuple[RosterEntry, ...]) -> dict[LineKey, RosterEntry]:
    return {key_of(entry): entry for entry in lines}


def _evolve_notices(state: Roster, event: Event) -> Roster:
    match event:
        case e.RosterDispatched():
            awaited = state.awaited | {event.supplement} if event.notice else state.awaited
            dispatched = {**state.dispatched, event.supplement: event.version}
            return replace(state, dispatched=dispatched, awaited=awaited)
        case e.RosterNoticeClosedNoted():
            return replace(state, awaited=state.awaited - {event.supplement})
        case e.PaymentNoticeClosedNoted():
            return replace(state, payment_notices=state.payment_notices | {event.kind})
        case e.ObjectionNoted():
            noted = Objection(event.kind, event.notice_id)
            return replace(state, objections={**state.objections, event.objection_id: noted})
        case e.RosterObjectionResolved() | e.PaymentObjectionResolved():
            before = state.objections.get(event.objection_id)
            if before is None:
                return state
            resolved = replace(before, outcome=event.outcome)
            return replace(state, objections={**state.objections, event.objection_id: resolved})
        case _:
            return state


def _evolve_signatures(state: Roster, event: Event) -> Roster:
    match event:
        case e.RosterPreliminarilyReviewed():
            return replace(state, reviews={**state.reviews, event.role: (event.actor, event.organisation)})
        case e.RosterFinalized():
            return replace(state, final=True)
        case e.VillageRosterSigned():
            return replace(state, signed=True)
        case e.PaymentNoticeStamped():
            return replace(state, stamped=True)
        case _:
            return state
