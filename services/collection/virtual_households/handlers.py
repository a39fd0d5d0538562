"""Commands on virtual households and agents."""

from __future__ import annotations

from services.collection.virtual_households import domain as d
from services.collection.virtual_households import events as e
from services.collection.virtual_households.stream import agent_stream, household_stream
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


class VirtualHouseholds:
    """Decides on households and agents. ``campaign_facts``: from campaigns."""

    def __init__(self, store: Store, campaign_facts: FactSource) -> None:
        self._store = store
        self._campaign_facts = campaign_facts

    async def register(
        self, command: d.RegisterVirtualHousehold, metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Register a household."""
        stream = household_stream(command.virtual_household_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            campaign = loaded.fact(self._campaign_facts, command.campaign)
            events = d.register_household(loaded.state(stream), command, campaign)
            if isinstance(events, Refusal):
                return events
            response = {"virtual_household_id": command.virtual_household_id, "campaign": command.campaign}
            return Accepted([Append(stream, events)], response=response)

        facts = [(self._campaign_facts, [command.campaign])]
        return await self._store.execute(
            Command("register_virtual_household", [stream], decide, metadata, key, facts)
        )

    async def assign_scope(self, command: d.AssignScope, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Assign the collection scope."""
        stream = household_stream(command.virtual_household_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            events = d.assign_scope(loaded.state(stream), command)
            if isinstance(events, Refusal):
                return events
            response = {"virtual_household_id": command.virtual_household_id, "divisions": command.divisions}
            return Accepted([Append(stream, events)], response=response, status=200)

        return await self._store.execute(Command("assign_scope", [stream], decide, metadata, key))

    async def authorize(self, command: d.AuthorizeAgent, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Authorise an agent; status REFUSED with PERSONAL_ACCOUNT when the account was a person's."""
        stream = agent_stream(command.agent_id, command.campaign)
        household = household_stream(command.virtual_household_id)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            campaign = loaded.fact(self._campaign_facts, command.campaign)
            events = d.authorize_agent(loaded.state(stream), command, loaded.state(household), campaign)
            if isinstance(events, Refusal):
                return events
            flagged = any(isinstance(event, e.PersonalAccountUseFlagged) for event in events)
            response = {
                "agent_id": command.agent_id,
                "campaign": command.campaign,
                "status": "REFUSED" if flagged else "AUTHORIZED",
                "rule": "PERSONAL_ACCOUNT" if flagged else "",
            }
            return Accepted([Append(stream, events)], response=response)

        facts = [(self._campaign_facts, [command.campaign])]
        return await self._store.execute(
            Command("authorize_agent", [stream, household], decide, metadata, key, facts)
        )

    async def revoke(
        self, command: d.RevokeAgent, divisions: tuple[str, ...], metadata: Metadata, key: IdempotencyKey
    ) -> Outcome:
        """Revoke an agent's authorisation. divisions: where the caller may act."""
        stream = agent_stream(command.agent_id, command.campaign)

        def decide(loaded: Loaded) -> Accepted | Refusal:
            state = loaded.state(stream)
            village = state.authorized.village if state.authorized is not None else ""
            if village and not any(village.startswith(scope) for scope in divisions):
                return Refusal("DIVISION_FORBIDDEN", field="agent_id")
            events = d.revoke_agent(state, command)
            if isinstance(events, Refusal):
                return events
            response = {"agent_id": command.agent_id, "campaign": command.campaign, "status": "REVOKED"}
            return Accepted([Append(stream, events)], response=response, status=200)

        return await self._store.execute(Command("revoke_agent", [stream], decide, metadata, key))
