"""Read model of opened campaigns, from collection's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.contracts.collection import (
    CampaignOpenedV1,
    CampaignWindowExtendedV1,
    PolicyPackPublishedV1,
)
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

OPEN_CAMPAIGN = sa.Table(
    "open_campaign",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("division", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False, index=True),
    sa.Column("pack_id", sa.Text, nullable=False),
    sa.Column("pack_version", sa.Integer, nullable=False),
    sa.Column("pack_digest", sa.Text, nullable=False),
    sa.Column("window_to", sa.Date, nullable=False),
    sa.Column("extended_to", sa.Date),
    sa.Column("earlier_digests", sa.Text, nullable=False),  # of versions a revision replaced, blank between
)


class CampaignsProjection:
    """征缴工作 as collection opened and extended them."""

    name = "open-campaigns"
    tables: Sequence[sa.Table] = (OPEN_CAMPAIGN,)
    handles: tuple[type[msgspec.Struct], ...] = (
        CampaignOpenedV1,
        CampaignWindowExtendedV1,
        PolicyPackPublishedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """One row a campaign; a later version published for an open one (政策调整) replaces its pack."""
        for recorded in events:
            event = recorded.event
            if isinstance(event, CampaignWindowExtendedV1):
                await connection.execute(
                    sa.update(OPEN_CAMPAIGN)
                    .where(OPEN_CAMPAIGN.c.campaign == event.campaign)
                    .values(extended_to=event.new_end)
                )
                continue
            if isinstance(event, PolicyPackPublishedV1):
                await connection.execute(
                    sa.update(OPEN_CAMPAIGN)
                    .where(
                        OPEN_CAMPAIGN.c.campaign == event.campaign,
                        OPEN_CAMPAIGN.c.pack_id == event.pack_id,
                        OPEN_CAMPAIGN.c.pack_version < event.version,
                    )
                    .values(
                        pack_version=event.version,
                        pack_digest=event.digest,
                        earlier_digests=OPEN_CAMPAIGN.c.earlier_digests + OPEN_CAMPAIGN.c.pack_digest + " ",
                    )
                )
                continue
            row = {
                "campaign": event.campaign,
                "division": event.division,
                "year": event.year,
                "pack_id": event.pack_id,
                "pack_version": event.pack_version,
                "pack_digest": event.pack_digest,
                "window_to": event.window_to,
                "earlier_digests": "",
            }
            await connection.upsert(OPEN_CAMPAIGN, [row])
