"""Collection's messages to commands of ours: rosters and payments to publish, objections resolved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.notification.notices import domain, handlers, queries
from shared.contracts.collection import (
    ObjectionResolvedV1,
    PaymentNoticeStampedV1,
    RosterDispatchedV1,
    VillagePaymentsConfirmedV1,
    VillageRosterSignedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait
from shared.policy import Pack
from shared.policy.registry import PackRegistry
from shared.policy.terms import NoticeKind


def _caused(recorded: Recorded[Any], campaign: str, pack: Pack | None = None) -> Metadata:
    return Metadata(
        recorded.metadata.correlation,
        recorded.event_id,
        campaign=campaign,
        pack=pack.id if pack else "",
        pack_digest=pack.digest if pack else "",
    )


class StartNotices:
    """清册移交、村居签字、加盖印章、区经办确认: each starts its notice for the days the pack gives (D-10)."""

    name = "notices.start"
    handles: tuple[type[msgspec.Struct], ...] = (
        RosterDispatchedV1,
        VillageRosterSignedV1,
        PaymentNoticeStampedV1,
        VillagePaymentsConfirmedV1,
    )

    def __init__(self, packs: PackRegistry) -> None:
        self._packs = packs

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Nothing when the pack has no such notice; waits for CampaignOpened, which has no order with us."""
        message = recorded.event
        known = await queries.pack_of(connection, message.campaign)
        if known is None:
            return Wait("CAMPAIGN_UNKNOWN")
        pack = self._packs.exactly(known.pack_id, known.pack_version, known.pack_digest)
        if pack is None:
            return Wait("PACK_MISMATCH")
        kind, notice_id, version = which_notice(message, pack)
        days = pack.notice_days(kind)
        if days is None:
            return []
        command = domain.StartNotice(
            notice_id, kind, message.campaign, message.village, message.roster_id, version, days
        )
        today = recorded.occurred_at.date()
        return [handlers.start_notice(command, today, _caused(recorded, message.campaign, pack))]

    def key(self, recorded: Recorded[Any]) -> str:
        """A village's notices stay in order."""
        return str(recorded.event.village)


def which_notice(
    message: RosterDispatchedV1 | VillageRosterSignedV1 | PaymentNoticeStampedV1 | VillagePaymentsConfirmedV1,
    pack: Pack,
) -> tuple[str, str, int]:
    """Kind, id and roster version of the notice a message starts.

    A signed roster is shown before its declaration, or after the window where the plan has that (003:L99).
    """
    match message:
        case RosterDispatchedV1():
            version = message.version
            return domain.ROSTER, domain.roster_notice_id(message.roster_id, version), version
        case VillageRosterSignedV1():
            before = pack.notice(NoticeKind.PRE_DECLARATION) is not None
            kind = NoticeKind.PRE_DECLARATION if before else NoticeKind.YEAR_END
        case _:
            kind = NoticeKind.POST_TREASURY
    return kind, domain.payment_notice_id(kind, message.roster_id), 0


class ReceiveResolutions:
    """异议处理."""

    name = "notices.resolutions"
    handles: tuple[type[msgspec.Struct], ...] = (ObjectionResolvedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per answer."""
        message: ObjectionResolvedV1 = recorded.event
        return [
            handlers.receive_resolution(
                message.notice_id,
                message.campaign,
                message.objection_id,
                message.outcome,
                _caused(recorded, message.campaign),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """A village's answers stay in order."""
        return str(recorded.event.village)
