"""Scopes assigned to virtual households, and reliefs granted, to links of payers (人员与虚拟户关联)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.obligations.events import EntitlementNoted
from services.collection.obligations.following import follow
from services.collection.taxpayers.handlers import Taxpayers
from services.collection.taxpayers.queries import HouseholdScopes, TaxpayerFacts, linked_persons
from services.collection.virtual_households.events import CollectionScopeAssigned
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, derived_key


class LinkHouseholds:
    """A FULL household takes every payer of its scope; a FALLBACK one special groups only (I-07, D-41)."""

    name = "link-households"
    handles: tuple[type[msgspec.Struct], ...] = (CollectionScopeAssigned, EntitlementNoted)

    def __init__(self, taxpayers: Taxpayers) -> None:
        self._taxpayers = taxpayers

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event = recorded.event
        if isinstance(event, CollectionScopeAssigned):
            return await self._scope(recorded, event, connection)
        return await self._special(recorded, event, connection)

    async def _scope(
        self, recorded: Recorded[Any], event: CollectionScopeAssigned, connection: Connection
    ) -> Sequence[Command]:
        if event.mode != "FULL":
            return []
        commands = []
        for insurance in event.insurances:
            for division in event.divisions:
                persons = await linked_persons(connection, event.campaign, insurance.value, division)
                commands += [
                    self._taxpayers.link_household_command(
                        person_id,
                        insurance,
                        year,
                        event.virtual_household_id,
                        follow(recorded, self.name, event.campaign),
                        derived_key(recorded, "link_household", f"{insurance.value}/{person_id}"),
                    )
                    for person_id, year in persons
                ]
        return commands

    async def _special(
        self, recorded: Recorded[Any], event: EntitlementNoted, connection: Connection
    ) -> Sequence[Command]:
        if not event.legs:
            return []
        person = (await TaxpayerFacts().load(connection, [event.person_id])).get(event.person_id)
        link = person.link(event.insurance, event.year) if person is not None else None
        if link is None:
            return []
        place = (link.campaign, event.insurance.value, link.village)
        scope = (await HouseholdScopes().load(connection, [place])).get(place)
        if scope is None or scope.mode != "FALLBACK":
            return []
        return [
            self._taxpayers.link_household_command(
                event.person_id,
                event.insurance,
                event.year,
                scope.virtual_household_id,
                follow(recorded, self.name, link.campaign),
                derived_key(recorded, "link_household"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        event = recorded.event
        if isinstance(event, CollectionScopeAssigned):
            return event.virtual_household_id
        return str(event.person_id)
