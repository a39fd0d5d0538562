"""What the other services learn of campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.collection.campaigns import events as e
from shared.contracts import collection as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class CampaignPublication:
    """Packs published or revised, campaigns opened, moved and closed, targets."""

    name = "campaigns"
    handles: tuple[type[Event], ...] = (
        e.PolicyPackPublished,
        e.PolicyPackRevised,
        e.CampaignOpened,
        e.CampaignPhaseChanged,
        e.CampaignWindowExtended,
        e.CampaignClosed,
        e.CollectionTargetAssigned,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        match event:
            case e.PolicyPackPublished() | e.PolicyPackRevised():
                return [_published(event)]
            case e.CampaignOpened():
                return [_opened(event)]
            case e.CampaignPhaseChanged():
                return [
                    c.CampaignPhaseChangedV1(
                        campaign=event.campaign, phase=event.phase, from_date=event.from_date,
                        to_date=event.to_date,
                    )
                ]  # fmt: skip
            case e.CampaignWindowExtended():
                return [
                    c.CampaignWindowExtendedV1(
                        campaign=event.campaign, old_end=event.old_end, new_end=event.new_end,
                        authority=event.authority,
                    )
                ]  # fmt: skip
            case e.CampaignClosed():
                return [c.CampaignClosedV1(campaign=event.campaign, closed_on=event.closed_on)]
            case e.CollectionTargetAssigned():
                return [_target(event)]
            case _:
                return []


def _published(event: e.PolicyPackPublished | e.PolicyPackRevised) -> Message:
    return c.PolicyPackPublishedV1(
        campaign=event.campaign, pack_id=event.pack_id, version=event.version, digest=event.digest
    )


def _opened(event: e.CampaignOpened) -> Message:
    return c.CampaignOpenedV1(
        campaign=event.campaign,
        division=event.division,
        year=event.year,
        pack_id=event.pack_id,
        pack_version=event.pack_version,
        pack_digest=event.pack_digest,
        window_from=event.window_from,
        window_to=event.window_to,
    )


def _target(event: e.CollectionTargetAssigned) -> Message:
    return c.CollectionTargetAssignedV1(
        campaign=event.campaign,
        division=event.division,
        insurance=event.insurance,
        persons=event.persons,
        amount_fen=event.amount if event.unit == "FEN" else None,
        statistical_scope=event.statistical_scope,
    )
