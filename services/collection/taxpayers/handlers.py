"""Commands on taxpayers. They follow from messages and events only: nobody posts them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from services.collection.taxpayers import domain as d
from services.collection.taxpayers.queries import HouseholdScopes
from services.collection.taxpayers.stream import taxpayer_stream
from shared.eventstore.commands import Accepted, Append, Command, FactSource, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.division import campaign_id
from shared.kernel.insurance import Insurance

DefaultCampaign = Callable[[str, int], str | None]
"""The campaign that will collect in a village for a year, by the packs held; None without a pack."""


class Taxpayers:
    """Builds the commands on taxpayers."""

    def __init__(
        self, campaign_facts: FactSource, scopes: HouseholdScopes, default_campaign: DefaultCampaign
    ) -> None:
        self._campaign_facts = campaign_facts
        self._scopes = scopes
        self._default_campaign = default_campaign

    def link_registration_command(
        self, command: d.LinkRegistration, metadata: Metadata, key: IdempotencyKey
    ) -> Command:
        """Accept or reject a transmitted registration, and link it."""
        stream = taxpayer_stream(command.person_id)
        places = [campaign_id(command.village[:length], command.year) for length in (9, 6)]
        default = self._default_campaign(command.village, command.year)
        candidates = [*places, default] if default is not None and default not in places else places
        scopes = [(campaign, command.insurance.value, command.village) for campaign in candidates]

        def decide(loaded: Loaded) -> Accepted:
            opened = (place for place in places if loaded.fact(self._campaign_facts, place) is not None)
            campaign = next(opened, default)
            household = ""
            if campaign is not None:
                scope = loaded.fact(self._scopes, (campaign, command.insurance.value, command.village))
                household = scope.virtual_household_id if scope is not None and scope.mode == "FULL" else ""
            events = d.link_registration(loaded.state(stream), command, campaign, household)
            return Accepted([Append(stream, events)])

        facts: list[tuple[FactSource, list[Hashable]]] = [
            (self._campaign_facts, [*places]),
            (self._scopes, [*scopes]),
        ]
        return Command("link_registration", [stream], decide, metadata, key, facts)

    def link_household_command(
        self,
        person_id: str,
        insurance: Insurance,
        year: int,
        household: str,
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Command:
        """Link a payer to a virtual household."""
        stream = taxpayer_stream(person_id)

        def decide(loaded: Loaded) -> Accepted:
            events = d.link_household(loaded.state(stream), person_id, insurance, year, household)
            return Accepted([Append(stream, events)])

        return Command("link_household", [stream], decide, metadata, key)
