"""Commands on taxpayers. They follow from messages and events only: nobody posts them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Sequence

from services.collection.obligations.domain import Obligation
from services.collection.obligations.facts import CampaignFact, TaxpayerFact
from services.collection.obligations.stream import obligation
from services.collection.taxpayers import domain as d
from services.collection.taxpayers import events as e
from services.collection.taxpayers.queries import HouseholdScopes
from services.collection.taxpayers.stream import taxpayer_stream
from shared.eventstore.commands import Accepted, Append, Command, FactSource, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.division import campaign_id
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

AssessLinked = Callable[
    [Obligation, TaxpayerFact | None, CampaignFact | None, Insurance, int, dt.date], Sequence[Event]
]
"""What a person owes once he is linked or unlinked: assessment's decision, made in the same commit."""

DefaultCampaign = Callable[[str, int], str | None]
"""The campaign that will collect in a village for a year, by the packs held; None without a pack."""


class Taxpayers:
    """Builds the commands on taxpayers."""

    def __init__(
        self,
        campaign_facts: FactSource,
        scopes: HouseholdScopes,
        default_campaign: DefaultCampaign,
        assess: AssessLinked,
        today: Callable[[], dt.date],
    ) -> None:
        self._campaign_facts = campaign_facts
        self._scopes = scopes
        self._default_campaign = default_campaign
        self._assess = assess
        self._today = today

    def link_registration_command(
        self, command: d.LinkRegistration, metadata: Metadata, key: IdempotencyKey | None
    ) -> Command:
        """Accept or reject a transmitted registration, link it, and assess what follows from it at once."""
        stream = taxpayer_stream(command.person_id)
        owed = obligation(command.year, command.insurance, command.person_id)
        places = [campaign_id(command.village[:length], command.year) for length in (9, 6)]
        default = self._default_campaign(command.village, command.year)
        candidates = [*places, default] if default is not None and default not in places else places
        scopes = [(campaign, command.insurance.value, command.village) for campaign in candidates]

        def decide(loaded: Loaded) -> Accepted:
            known = {place: loaded.fact(self._campaign_facts, place) for place in places}
            opened = (place for place, fact in known.items() if fact is not None)
            campaign = next(opened, default)
            household = ""
            if campaign is not None:
                scope = loaded.fact(self._scopes, (campaign, command.insurance.value, command.village))
                household = scope.virtual_household_id if scope is not None and scope.mode == "FULL" else ""
            state = loaded.state(stream)
            fact: CampaignFact | None = known.get(campaign) if campaign is not None else None
            events = d.link_registration(state, command, campaign, household, campaign_open=fact is not None)
            appends = [Append(stream, events)]
            if any(isinstance(event, e.RegistrationLinked | e.RegistrationUnlinked) for event in events):
                for event in events:
                    state = d.evolve(state, event)
                person = d.person_fact(state)
                due = self._assess(
                    loaded.state(owed), person, fact, command.insurance, command.year, self._today()
                )
                if due:
                    appends.append(Append(owed, due))
            return Accepted(appends)

        facts: list[tuple[FactSource, list[Hashable]]] = [
            (self._campaign_facts, [*places]),
            (self._scopes, [*scopes]),
        ]
        return Command("link_registration", [stream, owed], decide, metadata, key, facts)

    def note_command(
        self,
        person_id: str,
        decision: Callable[[d.Taxpayer], Sequence[Event]],
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Command:
        """Keep what registration learned of a person's other cover or identity."""
        stream = taxpayer_stream(person_id)

        def decide(loaded: Loaded) -> Accepted:
            events = decision(loaded.state(stream))
            return Accepted([Append(stream, events)] if events else [])

        return Command("note_person_fact", [stream], decide, metadata, key)

    def link_household_command(
        self,
        person_id: str,
        insurance: Insurance,
        year: int,
        household: str,
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Command:
        """Link a payer to a virtual household."""
        stream = taxpayer_stream(person_id)

        def decide(loaded: Loaded) -> Accepted:
            events = d.link_household(loaded.state(stream), person_id, insurance, year, household)
            return Accepted([Append(stream, events)])

        return Command("link_household", [stream], decide, metadata, key)
