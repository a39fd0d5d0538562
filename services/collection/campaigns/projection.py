"""Read models of campaigns: packs in force, windows, phases, targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.campaigns import events as e
from services.collection.obligations.events import RevisionDifferenceFound
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

CAMPAIGN = sa.Table(
    "campaign",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("division", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("pack_id", sa.Text, nullable=False),
    sa.Column("pack_version", sa.Integer, nullable=False),
    sa.Column("pack_digest", sa.Text, nullable=False),
    sa.Column("window_from", sa.Date, nullable=False),
    sa.Column("window_to", sa.Date, nullable=False),
    sa.Column("extended_to", sa.Date),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("closed_on", sa.Date),
)

TARGET = sa.Table(
    "campaign_target",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("division", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("persons", sa.Integer, nullable=False),
    sa.Column("amount", sa.BigInteger),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("statistical_scope", sa.Text, nullable=False),
)

PACK = sa.Table(
    "policy_pack",
    metadata,
    sa.Column("pack_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("maker", sa.Text, nullable=False),
)

PUBLISHED = sa.Table(
    "policy_pack_published",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("pack_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("approver", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("previous_version", sa.Integer),  # null: the campaign's first version
    sa.Column("effective_from", sa.Date),
)

DIFFERENCE = sa.Table(
    "campaign_revision_difference",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("pack_version", sa.Integer, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("before_standard_fen", sa.BigInteger, nullable=False),
    sa.Column("before_personal_fen", sa.BigInteger, nullable=False),
    sa.Column("after_standard_fen", sa.BigInteger, nullable=False),
    sa.Column("after_personal_fen", sa.BigInteger, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
)


class RevisionDifferences:
    """Who owes another amount by a revised pack, and how much (政策调整差异)."""

    name = "campaign-revision-differences"
    tables: Sequence[sa.Table] = (DIFFERENCE,)
    handles: tuple[type[msgspec.Struct], ...] = (RevisionDifferenceFound,)

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """A page is one upsert; a person's later difference of the same version replaces the earlier."""
        rows: dict[tuple[str, int, str, str], dict[str, Any]] = {}
        for recorded in events:
            event = recorded.event
            row = {name: getattr(event, name) for name in DIFFERENCE.c.keys()}  # noqa: SIM118
            row["insurance"] = event.insurance.value
            rows[event.campaign, event.pack_version, row["insurance"], event.person_id] = row
        await connection.upsert(DIFFERENCE, rows.values())


class CampaignProjection:
    """Campaigns are few: rows are written one by one, in order."""

    name = "campaigns"
    tables: Sequence[sa.Table] = (CAMPAIGN, TARGET, PACK, PUBLISHED)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.PolicyPackDrafted,
        e.PolicyPackPublished,
        e.PolicyPackRevised,
        e.CampaignOpened,
        e.CampaignPackReplaced,
        e.CampaignPhaseChanged,
        e.CampaignWindowExtended,
        e.CampaignClosed,
        e.CollectionTargetAssigned,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        for recorded in events:
            event = recorded.event
            if isinstance(event, (e.PolicyPackDrafted, e.PolicyPackPublished, e.PolicyPackRevised)):
                await _apply_pack(connection, event)
            else:
                await _apply_campaign(connection, event)


async def _apply_pack(
    connection: Connection, event: e.PolicyPackDrafted | e.PolicyPackPublished | e.PolicyPackRevised
) -> None:
    if isinstance(event, e.PolicyPackDrafted):
        row = {
            "pack_id": event.pack_id, "version": event.version, "digest": event.digest, "maker": event.maker
        }  # fmt: skip
        await connection.upsert(PACK, [row])
        return
    revision = event if isinstance(event, e.PolicyPackRevised) else None
    published = {
        "campaign": event.campaign,
        "pack_id": event.pack_id,
        "version": event.version,
        "approver": event.approver,
        "source": "" if revision is None else revision.source,
        "previous_version": None if revision is None else revision.previous_version,
        "effective_from": None if revision is None else revision.effective_from,
    }
    await connection.upsert(PUBLISHED, [published])


async def _apply_campaign(connection: Connection, event: Any) -> None:
    change: dict[str, Any]
    match event:
        case e.CampaignOpened():
            await connection.upsert(CAMPAIGN, [_opened_row(event)])
            return
        case e.CollectionTargetAssigned():
            names = (
                "campaign",
                "division",
                "insurance",
                "name",
                "persons",
                "amount",
                "unit",
                "statistical_scope",
            )
            await connection.upsert(TARGET, [{name: getattr(event, name) for name in names}])
            return
        case e.CampaignPackReplaced():
            change = {"pack_version": event.pack_version, "pack_digest": event.pack_digest}
        case e.CampaignPhaseChanged():
            change = {"phase": event.phase}
        case e.CampaignWindowExtended():
            change = {"window_to": event.new_end, "extended_to": event.new_end}
        case e.CampaignClosed():
            change = {"closed_on": event.closed_on}
        case _:
            return
    await connection.execute(
        sa.update(CAMPAIGN).where(CAMPAIGN.c.campaign == event.campaign).values(**change)
    )


def _opened_row(event: e.CampaignOpened) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "division": event.division,
        "year": event.year,
        "pack_id": event.pack_id,
        "pack_version": event.pack_version,
        "pack_digest": event.pack_digest,
        "window_from": event.window_from,
        "window_to": event.window_to,
        "extended_to": None,
        "phase": "",
        "closed_on": None,
    }
