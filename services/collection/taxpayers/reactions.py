"""Scopes assigned to virtual households, and reliefs granted, to links of payers (人员与虚拟户关联)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.collection.obligations.events import EntitlementNoted
from services.collection.obligations.facts import EnrolmentLink
from services.collection.obligations.following import follow
from services.collection.taxpayers.handlers import Taxpayers
from services.collection.taxpayers.queries import (
    HouseholdScope,
    HouseholdScopes,
    TaxpayerFacts,
    fallback_campaigns,
    linked_persons,
)
from services.collection.virtual_households.events import CollectionScopeAssigned
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import PreparedReaction, Recorded, derived_key

Place = tuple[str, str, str]
"""Campaign, insurance, village."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Links and scopes of entitled persons; persons of newly assigned scopes, by event and (insurance, division)."""

    links: Mapping[str, EnrolmentLink] = field(default_factory=dict)
    scopes: Mapping[Place, HouseholdScope] = field(default_factory=dict)
    persons: Mapping[tuple[str, str, str], Sequence[tuple[str, int]]] = field(default_factory=dict)


class LinkHouseholds(PreparedReaction):
    """A FULL household takes every payer of its scope; a FALLBACK one special groups only (I-07, D-41)."""

    name = "link-households"
    handles: tuple[type[msgspec.Struct], ...] = (CollectionScopeAssigned, EntitlementNoted)

    def __init__(self, taxpayers: Taxpayers) -> None:
        self._taxpayers = taxpayers

    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> _Known:
        entitled = [one for one in events if isinstance(one.event, EntitlementNoted) and one.event.legs]
        links, scopes = await _special_groups(connection, entitled)
        persons = {}
        for recorded in events:
            event = recorded.event
            if isinstance(event, CollectionScopeAssigned) and event.mode == "FULL":
                for insurance in event.insurances:
                    for division in event.divisions:
                        persons[recorded.event_id, insurance.value, division] = await linked_persons(
                            connection, event.campaign, insurance.value, division
                        )
        return _Known(links, scopes, persons)

    def answer(self, recorded: Recorded[Any], prepared: _Known) -> Sequence[Command]:
        event = recorded.event
        if isinstance(event, CollectionScopeAssigned):
            return self._scope(recorded, event, prepared)
        link = prepared.links.get(recorded.event_id)
        if link is None:
            return []
        scope = prepared.scopes.get((link.campaign, event.insurance.value, link.village))
        if scope is None or scope.mode != "FALLBACK":
            return []
        return [
            self._taxpayers.link_household_command(
                event.person_id,
                event.insurance,
                event.year,
                scope.virtual_household_id,
                follow(recorded, self.name, link.campaign),
                None,
            )
        ]

    def _scope(
        self, recorded: Recorded[Any], event: CollectionScopeAssigned, prepared: _Known
    ) -> Sequence[Command]:
        return [
            self._taxpayers.link_household_command(
                person_id,
                insurance,
                year,
                event.virtual_household_id,
                follow(recorded, self.name, event.campaign),
                derived_key(recorded, "link_household", f"{insurance.value}/{person_id}"),
            )
            for insurance in event.insurances
            for division in event.divisions
            for person_id, year in prepared.persons.get((recorded.event_id, insurance.value, division), ())
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        event = recorded.event
        if isinstance(event, CollectionScopeAssigned):
            return event.virtual_household_id
        return str(event.person_id)


async def _special_groups(
    connection: Connection, entitled: Sequence[Recorded[Any]]
) -> tuple[dict[str, EnrolmentLink], Mapping[Place, HouseholdScope]]:
    """Links of entitled persons where a household is the fallback, and the scopes there; none elsewhere."""
    fallback = await fallback_campaigns(connection) if entitled else frozenset()
    wanted = [one for one in entitled if one.event.campaign in fallback]
    if not wanted:
        return {}, {}
    persons = await TaxpayerFacts().load(connection, list({one.event.person_id for one in wanted}))
    links: dict[str, EnrolmentLink] = {}
    for one in wanted:
        person = persons.get(one.event.person_id)
        link = person.link(one.event.insurance, one.event.year) if person is not None else None
        if link is not None:
            links[one.event_id] = link
    places = {(link.campaign, link.insurance.value, link.village) for link in links.values()}
    return links, await HouseholdScopes().load(connection, list(places))
