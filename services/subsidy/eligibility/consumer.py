"""Registration's answers and deaths to commands on entitlements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from services.subsidy.eligibility import domain, queries
from services.subsidy.eligibility.events import Claim
from services.subsidy.eligibility.handlers import Entitlements
from shared.contracts.registration import (
    DeathReportCorrectedV1,
    DeathReportedV1,
    SubsidyBeneficiaryImportedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait
from shared.kernel.division import parse_campaign
from shared.kernel.insurance import Insurance
from shared.policy import Pack

ListHeader = Callable[[Connection, str], Awaitable[Row | None]]
"""A list's header by id: department and campaign."""


def pack_of(packs: Mapping[str, Pack], campaign: str) -> Pack | None:
    """The pack of a campaign's division and year."""
    division, year = parse_campaign(campaign)
    for pack in packs.values():
        if pack.insured_year == year and pack.region.division == division:
            return pack
    return None


class ResolveClaims:
    """导入成功 -> 资助资格确定 (I-11, I-12)."""

    name = "eligibility.claims"
    handles: tuple[type[msgspec.Struct], ...] = (SubsidyBeneficiaryImportedV1,)

    def __init__(self, entitlements: Entitlements, packs: Mapping[str, Pack], header: ListHeader) -> None:
        self._entitlements = entitlements
        self._packs = packs
        self._header = header

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """The line's list is ours; its department makes the claim."""
        message: SubsidyBeneficiaryImportedV1 = recorded.event
        header = await self._header(connection, message.list_id)
        if header is None:
            return Wait("LIST_UNKNOWN")
        pack = pack_of(self._packs, header.campaign)
        if pack is None:
            return Wait("PACK_UNKNOWN")
        command = domain.ReceiveClaim(
            message.person_id,
            message.insurance,
            message.year,
            header.campaign,
            message.division,
            message.birth,
            Claim(message.list_id, message.line_no, header.department, message.category),
        )
        caused = Metadata(
            recorded.metadata.correlation,
            recorded.event_id,
            campaign=header.campaign,
            pack=pack.id,
            pack_digest=pack.digest,
        )
        return [self._entitlements.receive_claim(command, pack.id, caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's claims stay in order."""
        return str(recorded.event.person_id)


class FollowDeaths:
    """死亡取消资格、更正恢复资格."""

    name = "eligibility.deaths"
    handles: tuple[type[msgspec.Struct], ...] = (DeathReportedV1, DeathReportCorrectedV1)

    def __init__(self, entitlements: Entitlements, packs: Mapping[str, Pack]) -> None:
        self._entitlements = entitlements
        self._packs = packs

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Every entitlement of the person; a death inside the insured year leaves that year's cover.

        So does a date corrected into it: what a wrong one had revoked is resolved again (scenario 4d).
        """
        message = recorded.event
        commands: list[Command] = []
        for row in await queries.of_person(connection, message.person_id):
            insurance = Insurance(row.insurance)
            caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=row.campaign)
            if message.date is None or message.date.year >= row.year:
                pack = pack_of(self._packs, row.campaign)
                if pack is not None:
                    commands.append(
                        self._entitlements.restore(message.person_id, insurance, row.year, pack.id, caused)
                    )
            else:
                commands.append(
                    self._entitlements.revoke(
                        message.person_id, insurance, row.year, "DEATH", message.date, caused
                    )
                )
        return commands

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's reports stay in order."""
        return str(recorded.event.person_id)
