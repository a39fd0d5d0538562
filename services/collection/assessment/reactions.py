"""Facts of siblings that change what somebody owes, to assessments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from services.collection.assessment.events import VillageAssessmentDue
from services.collection.assessment.handlers import Assessments
from services.collection.campaigns.events import CampaignOpened, CampaignPackReplaced
from services.collection.obligations.following import follow
from services.collection.taxpayers.events import (
    OtherCoverNoted,
    RegistrationLinked,
    SpecialIdentityNoted,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, derived_key
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance

LinkedVillages = Callable[[Connection, str], Awaitable[Sequence[str]]]
LinksOf = Callable[[Connection, str, Insurance], Awaitable[Sequence[tuple[str, int]]]]
"""(campaign, year) of a person's live links for an insurance."""
LinkedInVillage = Callable[[Connection, str, str], Awaitable[Sequence[tuple[str, Insurance, int]]]]


class AssessLinked:
    """Linked while no open campaign was known: assess that person if one has been opened meanwhile.

    All others are assessed in the commit that links them; who is linked before the opening, when it opens. Cover
    elsewhere and identities that become known later have the person assessed again (I-05, I-06).
    """

    name = "assess-linked"
    handles: tuple[type[msgspec.Struct], ...] = (RegistrationLinked, OtherCoverNoted, SpecialIdentityNoted)

    def __init__(self, assessments: Assessments, links: LinksOf) -> None:
        self._assessments = assessments
        self._links = links

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event = recorded.event
        if not isinstance(event, RegistrationLinked):
            return await self._again(recorded, connection)
        if event.campaign_open:
            return []
        return [
            self._assessments.assess_command(
                event.person_id,
                event.insurance,
                event.year,
                event.campaign,
                "REGISTRATION",
                follow(recorded, self.name, event.campaign),
                None,
            )
        ]

    async def _again(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event = recorded.event
        return [
            self._assessments.assess_command(
                event.person_id,
                event.insurance,
                year,
                campaign,
                "REGISTRATION",
                follow(recorded, self.name, campaign),
                None,
            )
            for campaign, year in await self._links(connection, event.person_id, event.insurance)
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)


class AssessCampaign:
    """A campaign opened or its pack revised: every village with linked people is due (D-06, scenario 14)."""

    name = "assess-campaign"
    handles: tuple[type[msgspec.Struct], ...] = (CampaignOpened, CampaignPackReplaced)

    def __init__(self, assessments: Assessments, linked_villages: LinkedVillages) -> None:
        self._assessments = assessments
        self._linked_villages = linked_villages

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event = recorded.event
        revised = isinstance(event, CampaignPackReplaced)
        _, year = parse_campaign(event.campaign)
        return [
            self._assessments.village_due_command(
                event.campaign,
                village,
                year,
                "PACK_REVISED" if revised else "CAMPAIGN_OPENED",
                follow(recorded, self.name, event.campaign),
                derived_key(recorded, "assess_village", village),
            )
            for village in await self._linked_villages(connection, event.campaign)
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.campaign)


class AssessVillage:
    """A village due: assess everyone linked there."""

    name = "assess-village"
    handles: tuple[type[msgspec.Struct], ...] = (VillageAssessmentDue,)

    def __init__(self, assessments: Assessments, linked_in_village: LinkedInVillage) -> None:
        self._assessments = assessments
        self._linked_in_village = linked_in_village

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        event: VillageAssessmentDue = recorded.event
        persons = await self._linked_in_village(connection, event.campaign, event.village)
        return [
            self._assessments.assess_command(
                person_id,
                insurance,
                year,
                event.campaign,
                event.reason,
                follow(recorded, self.name, event.campaign),
                derived_key(recorded, "assess_contribution", f"{insurance.value}/{year}/{person_id}"),
            )
            for person_id, insurance, year in persons
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.village)
