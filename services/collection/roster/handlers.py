"""Commands on rosters: one builder each, used by routes, consumers and siblings alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Sequence

from services.collection.roster import domain as d
from services.collection.roster import objections as o
from services.collection.roster.state import Roster, evolve
from services.collection.roster.stream import roster_stream
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    FactSource,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision

_Decide = Callable[[Roster, Loaded], Decision]
_Facts = Sequence[tuple[FactSource, Sequence[Hashable]]]


class Rosters:
    """Decides on rosters.

    vouchers: per (campaign, village), an object with ``all_in_treasury``, ``count`` and ``fen``; treasury's.
    """

    def __init__(
        self,
        store: Store,
        campaign_facts: FactSource,
        candidates: FactSource,
        paid: FactSource,
        vouchers: FactSource,
    ) -> None:
        self._store = store
        self._campaigns = campaign_facts
        self._candidates = candidates
        self._paid = paid
        self._vouchers = vouchers

    async def generate(self, place: d.Place, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Generate the list from assessments."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            campaign = loaded.fact(self._campaigns, place.campaign)
            return d.generate(state, place, campaign, self._of(loaded, place))

        facts = [self._campaign(place), (self._candidates, [(place.campaign, place.village)])]
        command = self._command("generate_roster", place, decide, metadata, key, facts, 201)
        return await self._store.execute(command)

    async def review(
        self, place: d.Place, command: d.Review, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Sign the generated list."""
        return await self._store.execute(
            self._command(
                "review_roster", place, lambda state, _: d.review(state, place, command), metadata, key
            )
        )

    async def dispatch(
        self,
        place: d.Place,
        to: str,
        agents: tuple[str, ...],
        supplement: int,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """Publish the roster, or a supplement, to town and village."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            campaign = loaded.fact(self._campaigns, place.campaign)
            return d.dispatch(state, place, campaign, to, agents, supplement)

        facts = [self._campaign(place)]
        return await self._store.execute(self._command("publish_roster", place, decide, metadata, key, facts))

    async def amend(
        self,
        place: d.Place,
        add: tuple[d.Line, ...],
        remove: tuple[d.Line, ...],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """Form a new version."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            return d.amend(state, place, add, remove, self._of(loaded, place))

        facts = [(self._candidates, [(place.campaign, place.village)])]
        return await self._store.execute(self._command("amend_roster", place, decide, metadata, key, facts))

    async def finalise(self, place: d.Place, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Make the roster final."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            return d.finalise(state, place, self._of(loaded, place))

        facts = [(self._candidates, [(place.campaign, place.village)])]
        return await self._store.execute(
            self._command("finalise_roster", place, decide, metadata, key, facts)
        )

    async def supplement(self, place: d.Place, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Form a supplementary roster."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            return d.supplement(state, place, self._of(loaded, place))

        facts = [(self._candidates, [(place.campaign, place.village)])]
        command = self._command("supplement_roster", place, decide, metadata, key, facts, 201)
        return await self._store.execute(command)

    async def sign(self, place: d.Place, actor: str, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """The village signs what was paid."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            paid = loaded.fact(self._paid, (place.campaign, place.village)) or (0, 0)
            return o.sign(state, place, actor, paid)

        facts = [(self._paid, [(place.campaign, place.village)])]
        return await self._store.execute(self._command("sign_roster", place, decide, metadata, key, facts))

    async def stamp(self, place: d.Place, actor: str, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Tax stamps the paid roster."""
        return await self._store.execute(self.stamp_command(place, actor, metadata, key))

    async def resolve(
        self, place: d.Place, command: o.Resolve, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Resolve an objection."""
        return await self._store.execute(
            self._command(
                "resolve_objection",
                place,
                lambda state, _: o.resolve_objection(state, place, command),
                metadata,
                key,
            )
        )

    def stamp_command(self, place: d.Place, actor: str, metadata: Metadata, key: IdempotencyKey) -> Command:
        """Stamp the paid roster, once all of the village's vouchers are in treasury."""

        def decide(state: Roster, loaded: Loaded) -> Decision:
            found = loaded.fact(self._vouchers, (place.campaign, place.village))
            facts = None if found is None else o.VoucherFacts(found.all_in_treasury, found.count, found.fen)
            return o.stamp(state, place, actor, facts)

        facts = [(self._vouchers, [(place.campaign, place.village)])]
        return self._command("stamp_roster", place, decide, metadata, key, facts)

    def note_notice_closed_command(
        self,
        place: d.Place,
        notice_id: str,
        version: int,
        closed_on: dt.date,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Command:
        """Keep that the roster's notice is over."""
        return self._command(
            "note_roster_notice",
            place,
            lambda state, _: d.note_notice_closed(state, place, notice_id, version, closed_on),
            metadata,
            key,
        )

    def note_payment_notice_command(
        self,
        place: d.Place,
        notice_id: str,
        kind: str,
        closed_on: dt.date,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Command:
        """Keep that a payment notice is over."""
        return self._command(
            "note_payment_notice",
            place,
            lambda state, _: o.note_payment_notice_closed(state, place, notice_id, kind, closed_on),
            metadata,
            key,
        )

    def note_objection_command(
        self, place: d.Place, raised: o.Raised, metadata: Metadata, key: IdempotencyKey
    ) -> Command:
        """Keep an objection."""
        return self._command(
            "note_objection", place, lambda state, _: o.note_objection(state, place, raised), metadata, key
        )

    def _campaign(self, place: d.Place) -> tuple[FactSource, Sequence[Hashable]]:
        return self._campaigns, [place.campaign]

    def _of(self, loaded: Loaded, place: d.Place) -> d.Candidates:
        found = loaded.fact(self._candidates, (place.campaign, place.village))
        return found if isinstance(found, d.Candidates) else d.Candidates({})

    def _command(
        self,
        operation: str,
        place: d.Place,
        decide_roster: _Decide,
        metadata: Metadata,
        key: IdempotencyKey,
        facts: _Facts = (),
        status: int = 200,
    ) -> Command:
        stream = roster_stream(place.campaign, place.village)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            state = loaded.state(stream)
            events = decide_roster(state, loaded)
            if isinstance(events, Refusal):
                return events
            for event in events:
                state = evolve(state, event)
            return Accepted([Append(stream, events)], response=_response(place, state), status=status)

        return Command(operation, [stream], decide, metadata, key, facts)


def _response(place: d.Place, state: Roster) -> dict[str, object]:
    lines = [*state.lines.values()] if state.formed else [*state.listed.values()]
    lines += [entry for found in state.supplements.values() for entry in found.values()]
    return {
        "roster_id": place.roster_id,
        "campaign": place.campaign,
        "village": place.village,
        "version": state.version,
        "count": len(lines),
        "standard_fen": sum(line.standard_fen for line in lines),
        "personal_fen": sum(line.personal_fen for line in lines),
        "reviews": sorted(state.reviews),
        "supplements": len(state.supplements),
        "final": state.final,
        "signed": state.signed,
        "stamped": state.stamped,
    }
