"""Read model of campaigns and the pack that binds them, from collection's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.contracts.collection import CampaignOpenedV1, PolicyPackPublishedV1
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

campaign_pack_table = sa.Table(
    "subsidy_campaign_pack",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("pack_id", sa.String(64), nullable=False),
    sa.Column("pack_version", sa.Integer, nullable=False),
    sa.Column("pack_digest", sa.String(64), nullable=False),
)


class CampaignPacksProjection:
    """征缴工作 and its pack; a later version published for an open one (政策调整) replaces it."""

    name = "campaign-packs"
    tables: Sequence[sa.Table] = (campaign_pack_table,)
    handles: tuple[type[msgspec.Struct], ...] = (CampaignOpenedV1, PolicyPackPublishedV1)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """In order: a campaign's messages share a partition."""
        table = campaign_pack_table
        for recorded in events:
            event = recorded.event
            if isinstance(event, CampaignOpenedV1):
                row = {
                    "campaign": event.campaign,
                    "pack_id": event.pack_id,
                    "pack_version": event.pack_version,
                    "pack_digest": event.pack_digest,
                }
                await connection.upsert(table, [row])
                continue
            await connection.execute(
                sa.update(table)
                .where(
                    table.c.campaign == event.campaign,
                    table.c.pack_id == event.pack_id,
                    table.c.pack_version < event.version,
                )
                .values(pack_version=event.version, pack_digest=event.digest)
            )
