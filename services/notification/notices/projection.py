"""Read models of notices: the notice, its objections, and the lines it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.notification.notices import events as e
from services.notification.notices.domain import ROSTER
from shared.contracts.collection import (
    CampaignOpenedV1,
    PaymentReceivedV1,
    PolicyPackPublishedV1,
    RosterLinesFormedV1,
)
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

campaign_table = sa.Table(
    "notice_campaign",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("pack_id", sa.String(64), nullable=False),
    sa.Column("pack_version", sa.Integer, nullable=False),
    sa.Column("pack_digest", sa.String(64), nullable=False),
)

notice_table = sa.Table(
    "notice",
    metadata,
    sa.Column("notice_id", sa.String(120), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("campaign", sa.String(20), nullable=False),
    sa.Column("village", sa.String(12), nullable=False),
    sa.Column("roster_id", sa.String(64), nullable=False),
    sa.Column("roster_version", sa.Integer, nullable=False),
    sa.Column("from_date", sa.Date, nullable=False),
    sa.Column("to_date", sa.Date, nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("closed_on", sa.Date),
    sa.Index("notice_due", "state", "to_date"),
    sa.Index("notice_by_village", "village", "notice_id"),
)

objection_table = sa.Table(
    "notice_objection",
    metadata,
    sa.Column("objection_id", sa.String(140), primary_key=True),
    sa.Column("notice_id", sa.String(120), nullable=False, index=True),
    sa.Column("person_id", sa.String(32), nullable=False),
    sa.Column("insurance", sa.String(10)),
    sa.Column("claim", sa.String(20), nullable=False),
    sa.Column("outcome", sa.String(10)),
)

roster_line_table = sa.Table(
    "notice_roster_line",
    metadata,
    sa.Column("roster_id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.String(32), primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("standard_fen", sa.BigInteger, nullable=False),
    sa.Column("personal_fen", sa.BigInteger, nullable=False),
    sa.Column("category", sa.String(64), nullable=False),
)

payment_line_table = sa.Table(
    "notice_payment_line",
    metadata,
    sa.Column("campaign", sa.String(20), primary_key=True),
    sa.Column("village", sa.String(12), primary_key=True),
    sa.Column("person_id", sa.String(32), primary_key=True),
    sa.Column("insurance", sa.String(10), primary_key=True),
    sa.Column("fen", sa.BigInteger, nullable=False),
)


publication_table = sa.Table(
    "notice_publication",
    metadata,
    sa.Column("publication_id", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("campaign", sa.String(20), nullable=False),
    sa.Column("village", sa.String(12), nullable=False),
    sa.Column("about", sa.String(120), nullable=False),
    sa.Column("persons", sa.BigInteger, nullable=False),
    sa.Column("fen", sa.BigInteger, nullable=False),
    sa.Column("published_on", sa.Date, nullable=False),
    sa.Index("notice_publication_by_village", "campaign", "village"),
)


class NoticeProjection:
    """Notices, objections and their lines."""

    name = "notices"
    tables: Sequence[sa.Table] = (
        campaign_table,
        notice_table,
        objection_table,
        roster_line_table,
        payment_line_table,
        publication_table,
    )
    handles: tuple[type[msgspec.Struct], ...] = (
        *e.EVENTS,
        CampaignOpenedV1,
        PolicyPackPublishedV1,
        RosterLinesFormedV1,
        PaymentReceivedV1,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Notices are few, so row by row; the lines of a page together."""
        payments: list[dict[str, Any]] = []
        roster: list[dict[str, Any]] = []
        for recorded in events:
            match event := recorded.event:
                case PaymentReceivedV1():
                    payments.append(_payment_line(event))
                case RosterLinesFormedV1():
                    roster += _roster_lines(event)
                case _:
                    await self._apply(connection, event)
        await connection.upsert(payment_line_table, payments)
        await connection.upsert(roster_line_table, roster)

    async def _apply(self, connection: Connection, event: Any) -> None:
        match event:
            case CampaignOpenedV1():
                await connection.upsert(campaign_table, [_campaign(event)])
            case PolicyPackPublishedV1():
                await connection.execute(
                    sa.update(campaign_table)
                    .where(
                        campaign_table.c.campaign == event.campaign,
                        campaign_table.c.pack_id == event.pack_id,
                        campaign_table.c.pack_version < event.version,
                    )
                    .values(pack_version=event.version, pack_digest=event.digest)
                )
            case e.RosterNoticeStarted() | e.PaymentNoticeStarted():
                await connection.upsert(notice_table, [_started(event)], ignore=True)
            case e.RosterNoticeClosed() | e.PaymentNoticeClosed():
                await connection.execute(
                    sa.update(notice_table)
                    .where(notice_table.c.notice_id == event.notice_id)
                    .values(state="CLOSED", closed_on=event.closed_on)
                )
            case e.PriorYearPaymentsPublished() | e.SubsidyListPublicised():
                await connection.upsert(publication_table, [_published(event)])
            case e.RosterObjectionRaised() | e.PaymentObjectionRaised():
                await connection.upsert(objection_table, [_objection(event)], ignore=True)
            case e.ObjectionResolutionReceived():
                await connection.execute(
                    sa.update(objection_table)
                    .where(objection_table.c.objection_id == event.objection_id)
                    .values(outcome=event.outcome)
                )


def _campaign(event: CampaignOpenedV1) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "pack_id": event.pack_id,
        "pack_version": event.pack_version,
        "pack_digest": event.pack_digest,
    }


def _started(event: e.RosterNoticeStarted | e.PaymentNoticeStarted) -> dict[str, Any]:
    of_roster = isinstance(event, e.RosterNoticeStarted)
    return {
        "notice_id": event.notice_id,
        "kind": ROSTER if isinstance(event, e.RosterNoticeStarted) else event.kind,
        "campaign": event.campaign,
        "village": event.village,
        "roster_id": event.roster_id,
        "roster_version": event.roster_version if of_roster else 0,  # type: ignore[union-attr]
        "from_date": event.from_date,
        "to_date": event.to_date,
        "days": event.days,
        "state": "OPEN",
        "closed_on": None,
    }


def _objection(event: e.RosterObjectionRaised | e.PaymentObjectionRaised) -> dict[str, Any]:
    return {
        "objection_id": event.objection_id,
        "notice_id": event.notice_id,
        "person_id": event.person_id,
        "insurance": event.insurance.value if event.insurance else None,
        "claim": event.claim if isinstance(event, e.RosterObjectionRaised) else event.issue,
        "outcome": None,
    }


def _published(event: e.PriorYearPaymentsPublished | e.SubsidyListPublicised) -> dict[str, Any]:
    prior = isinstance(event, e.PriorYearPaymentsPublished)
    return {
        "publication_id": event.publication_id,
        "kind": "PRIOR_YEAR" if prior else "SUBSIDY_LIST",
        "campaign": event.campaign,
        "village": event.village,
        "about": str(event.year) if isinstance(event, e.PriorYearPaymentsPublished) else event.list_id,
        "persons": event.persons,
        "fen": event.fen if isinstance(event, e.PriorYearPaymentsPublished) else 0,
        "published_on": event.published_on,
    }


def _roster_lines(event: RosterLinesFormedV1) -> list[dict[str, Any]]:
    return [
        {
            "roster_id": event.roster_id,
            "version": event.version,
            "person_id": line.person_id,
            "insurance": line.insurance.value,
            "standard_fen": line.standard_fen,
            "personal_fen": line.personal_fen,
            "category": line.category,
        }
        for line in event.lines
    ]


def _payment_line(event: PaymentReceivedV1) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "village": event.village,
        "person_id": event.person_id,
        "insurance": event.insurance.value,
        "fen": event.fen,
    }
