"""Registration's answers and deaths to commands on entitlements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.subsidy.eligibility import domain, queries
from services.subsidy.eligibility.events import Claim, VillageEntitlementsDue
from services.subsidy.eligibility.handlers import Entitlements
from shared.contracts.collection import PaidTermsKeptV1, PolicyPackPublishedV1
from shared.contracts.registration import (
    DeathReportCorrectedV1,
    DeathReportedV1,
    SubsidyBeneficiaryImportedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import PreparedReaction, Recorded, Wait
from shared.kernel.errors import Refusal
from shared.kernel.insurance import Insurance
from shared.policy import Pack

ListHeaders = Callable[[Connection, Sequence[str]], Awaitable[Mapping[str, Row]]]
"""Lists' headers by id: department and campaign; unknown ones are absent."""

PackOf = Callable[[Connection, str], Awaitable[Pack | Refusal]]
"""The pack that binds a campaign, or why there is none."""


class ResolveClaims(PreparedReaction):
    """导入成功 -> 资助资格确定 (I-11, I-12)."""

    name = "eligibility.claims"
    handles: tuple[type[msgspec.Struct], ...] = (SubsidyBeneficiaryImportedV1,)

    def __init__(self, entitlements: Entitlements, pack_of: PackOf, headers: ListHeaders) -> None:
        self._entitlements = entitlements
        self._pack_of = pack_of
        self._headers = headers

    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> _Lists:
        """The lists the lines are of, and the packs of their campaigns."""
        headers = await self._headers(connection, [recorded.event.list_id for recorded in events])
        campaigns = dict.fromkeys(header.campaign for header in headers.values())
        return _Lists(headers, {each: await self._pack_of(connection, each) for each in campaigns})

    def answer(self, recorded: Recorded[Any], prepared: _Lists) -> Sequence[Command] | Wait:
        """The line's list is ours; its department makes the claim."""
        message: SubsidyBeneficiaryImportedV1 = recorded.event
        header = prepared.headers.get(message.list_id)
        if header is None:
            return Wait("LIST_UNKNOWN")
        pack = prepared.packs[header.campaign]
        if isinstance(pack, Refusal):
            return Wait(pack.code)
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
        return [self._entitlements.receive_claim(command, pack, caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's claims stay in order."""
        return str(recorded.event.person_id)


@dataclass(frozen=True, slots=True)
class _Lists:
    headers: Mapping[str, Row]
    packs: Mapping[str, Pack | Refusal]


class FollowDeaths(PreparedReaction):
    """死亡取消资格、更正恢复资格."""

    name = "eligibility.deaths"
    handles: tuple[type[msgspec.Struct], ...] = (DeathReportedV1, DeathReportCorrectedV1)

    def __init__(self, entitlements: Entitlements, pack_of: PackOf) -> None:
        self._entitlements = entitlements
        self._pack_of = pack_of

    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> _Claimed:
        """What the persons claim, and the packs of the campaigns they claim it in."""
        rows = await queries.of_persons(connection, [recorded.event.person_id for recorded in events])
        campaigns = dict.fromkeys(row.campaign for each in rows.values() for row in each)
        return _Claimed(rows, {each: await self._pack_of(connection, each) for each in campaigns})

    def answer(self, recorded: Recorded[Any], prepared: _Claimed) -> Sequence[Command] | Wait:
        """Every claim of the person; a death inside the insured year leaves that year's cover.

        So does a date corrected into it: what a wrong one had revoked or held back is resolved (scenario 4d).
        """
        message = recorded.event
        commands: list[Command] = []
        for row in prepared.rows.get(message.person_id, ()):
            insurance = Insurance(row.insurance)
            caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=row.campaign)
            if message.date is None or message.date.year >= row.year:
                pack = prepared.packs[row.campaign]
                if isinstance(pack, Refusal):
                    return Wait(pack.code)
                commands.append(
                    self._entitlements.restore(message.person_id, insurance, row.year, pack, caused)
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


@dataclass(frozen=True, slots=True)
class _Claimed:
    rows: Mapping[str, Sequence[Row]]
    packs: Mapping[str, Pack | Refusal]


class ReviewEntitlements:
    """政策调整: every village with entitlements of the campaign is due, then everyone entitled there."""

    name = "eligibility.revisions"
    handles: tuple[type[msgspec.Struct], ...] = (PolicyPackPublishedV1, VillageEntitlementsDue)

    def __init__(self, entitlements: Entitlements, pack_of: PackOf) -> None:
        self._entitlements = entitlements
        self._pack_of = pack_of

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Waits until this service holds the version that was published."""
        event = recorded.event
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=event.campaign)
        if isinstance(event, PolicyPackPublishedV1):
            return [
                self._entitlements.village_due(event.campaign, village, event.version, caused)
                for village in await queries.villages(connection, event.campaign)
            ]
        pack = await self._pack_of(connection, event.campaign)
        if isinstance(pack, Refusal) or pack.version < event.pack_version:
            return Wait("PACK_MISMATCH")
        today = recorded.occurred_at.date()
        return [
            self._entitlements.review(row.person_id, Insurance(row.insurance), row.year, pack, today, caused)
            for row in await queries.in_village(connection, event.campaign, event.village)
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """A village waits for itself only."""
        return f"{recorded.event.campaign}/{getattr(recorded.event, 'village', '')}"


class KeepPaidTerms:
    """已缴不变: an entitlement follows what the person has paid (I-12)."""

    name = "eligibility.paid_terms"
    handles: tuple[type[msgspec.Struct], ...] = (PaidTermsKeptV1,)

    def __init__(self, entitlements: Entitlements) -> None:
        self._entitlements = entitlements

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per person and insurance."""
        message: PaidTermsKeptV1 = recorded.event
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
        terms = domain.PaidTerms(message.standard_fen, message.legs, message.reason, message.paid_on)
        return [
            self._entitlements.keep_paid_terms(
                message.person_id, message.insurance, message.year, terms, caused
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's facts stay in order."""
        return str(recorded.event.person_id)
