"""Read models of rosters: their state, their current lines, and open objections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.roster import events as e
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded

metadata = sa.MetaData()

ROSTER = sa.Table(
    "roster",
    metadata,
    sa.Column("roster_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("lapsed_count", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("standard_fen", sa.BigInteger, nullable=False),
    sa.Column("personal_fen", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("notice_closed", sa.Boolean, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
    sa.Column("signed", sa.Boolean, nullable=False),
    sa.Column("pre_declaration_closed", sa.Boolean, nullable=False),
    sa.Column("stamped", sa.Boolean, nullable=False),
    sa.Column("published_on", sa.Date),  # the notice of what was paid is over (D-12: history is published)
    sa.Index("roster_place", "campaign", "village"),
)

LINE = sa.Table(
    "roster_line",
    metadata,
    sa.Column("roster_id", sa.Text, primary_key=True),
    sa.Column("insurance", sa.Text, primary_key=True),
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("village", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # 0: of the generated list, not yet formed
    sa.Column("supplement", sa.Integer, nullable=False),
    sa.Column("standard_fen", sa.BigInteger, nullable=False),
    sa.Column("personal_fen", sa.BigInteger, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("assessment_version", sa.Integer, nullable=False),
    sa.Index("roster_line_person", "campaign", "person_id", "insurance"),
    postgresql_with={"fillfactor": "70"},  # forming the roster changes a row in its place
)

SUPPLEMENT = sa.Table(
    "roster_supplement",
    metadata,
    sa.Column("roster_id", sa.Text, primary_key=True),
    sa.Column("supplement", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("standard_fen", sa.BigInteger, nullable=False),
    sa.Column("personal_fen", sa.BigInteger, nullable=False),
    sa.Column("dispatched", sa.Boolean, nullable=False),
    sa.Column("notice_closed", sa.Boolean, nullable=False),
)

OBJECTION = sa.Table(
    "roster_objection",
    metadata,
    sa.Column("objection_id", sa.Text, primary_key=True),
    sa.Column("roster_id", sa.Text, nullable=False),
    sa.Column("notice_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("insurance", sa.Text),
    sa.Column("claim", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Index("roster_objection_roster", "roster_id", "outcome"),
)


class RosterProjection:
    """Rosters one event after the other; their lines in bulk."""

    name = "rosters"
    tables: Sequence[sa.Table] = (ROSTER, LINE, SUPPLEMENT, OBJECTION)
    handles: tuple[type[msgspec.Struct], ...] = (
        e.PaymentInfoListGenerated,
        e.PaymentInfoListLines,
        e.RosterPreliminarilyReviewed,
        e.CollectionRosterFormed,
        e.RosterLines,
        e.RosterDispatched,
        e.RosterNoticeClosedNoted,
        e.ObjectionNoted,
        e.RosterObjectionResolved,
        e.PaymentObjectionResolved,
        e.RosterAmended,
        e.RosterFinalized,
        e.SupplementaryRosterFormed,
        e.VillageRosterSigned,
        e.PaymentNoticeClosedNoted,
        e.PaymentNoticeStamped,
    )

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        for recorded in events:
            event = recorded.event
            if isinstance(event, (e.PaymentInfoListLines, e.RosterLines)):
                await _insert_lines(connection, event)
                if isinstance(event, e.RosterLines) and event.part == event.parts and not event.supplement:
                    await _clear_lines(connection, event.roster_id, before=event.version)
            elif isinstance(event, (e.ObjectionNoted, e.RosterObjectionResolved, e.PaymentObjectionResolved)):
                await _apply_objection(connection, event)
            elif isinstance(event, e.SupplementaryRosterFormed):
                await _apply_supplement(connection, event)
            else:
                await _apply_header(connection, event)


async def _apply_header(connection: Connection, event: Any) -> None:
    change: dict[str, Any]
    match event:
        case e.PaymentInfoListGenerated():
            await _clear_lines(connection, event.roster_id)
            await connection.upsert(ROSTER, [_generated_row(event)])
            return
        case e.CollectionRosterFormed() | e.RosterAmended():
            if not event.count:  # no lines follow
                await _clear_lines(connection, event.roster_id)
            formed = isinstance(event, e.CollectionRosterFormed)
            change = _header(event) | {"state": "FORMED" if formed else "AMENDED"}
        case e.RosterPreliminarilyReviewed():
            change = {"state": "REVIEWED"}
        case e.RosterDispatched() | e.RosterNoticeClosedNoted() if event.supplement:
            await _apply_supplement_step(connection, event)
            return
        case e.RosterDispatched():
            change = {"state": "DISPATCHED", "notice_closed": not event.notice}
        case e.RosterNoticeClosedNoted():
            change = {"state": "NOTICE_CLOSED", "notice_closed": True}
        case e.RosterFinalized():
            change = {"state": "FINAL", "final": True}
        case e.VillageRosterSigned():
            change = {"signed": True}
        case e.PaymentNoticeStamped():
            change = {"stamped": True}
        case e.PaymentNoticeClosedNoted():
            before = event.kind == "PRE_DECLARATION"
            change = {"pre_declaration_closed": True} if before else {"published_on": event.closed_on}
        case _:
            return
    await connection.execute(sa.update(ROSTER).where(ROSTER.c.roster_id == event.roster_id).values(**change))


def _generated_row(event: e.PaymentInfoListGenerated) -> dict[str, Any]:
    return {
        "roster_id": event.roster_id,
        "campaign": event.campaign,
        "village": event.village,
        "state": "GENERATED",
        "basis": event.basis,
        "lapsed_count": event.lapsed_count,
        "version": 0,
        "count": event.count,
        "standard_fen": event.standard_fen,
        "personal_fen": event.personal_fen,
        "digest": event.digest,
        "notice_closed": False,
        "final": False,
        "signed": False,
        "pre_declaration_closed": False,
        "stamped": False,
        "published_on": None,
    }


def _header(event: e.CollectionRosterFormed | e.RosterAmended) -> dict[str, Any]:
    return {
        "version": event.version,
        "count": event.count,
        "standard_fen": event.standard_fen,
        "personal_fen": event.personal_fen,
        "digest": event.digest,
    }


async def _clear_lines(connection: Connection, roster_id: str, before: int | None = None) -> None:
    """Lines of a roster, or those no version from ``before`` on holds: the others were written over in place."""
    gone = sa.delete(LINE).where(LINE.c.roster_id == roster_id, LINE.c.supplement == 0)
    await connection.execute(gone if before is None else gone.where(LINE.c.version < before))


async def _insert_lines(connection: Connection, event: e.PaymentInfoListLines | e.RosterLines) -> None:
    campaign, _, village = event.roster_id.rpartition(".")
    version, supplement = (event.version, event.supplement) if isinstance(event, e.RosterLines) else (0, 0)
    await connection.upsert(
        LINE,
        [
            {
                "roster_id": event.roster_id,
                "insurance": entry.insurance.value,
                "person_id": entry.person_id,
                "campaign": campaign,
                "village": village,
                "version": version,
                "supplement": supplement,
                "standard_fen": entry.standard_fen,
                "personal_fen": entry.personal_fen,
                "category": entry.category,
                "assessment_version": entry.assessment_version,
            }
            for entry in event.lines
        ],
    )


async def _apply_supplement(connection: Connection, event: e.SupplementaryRosterFormed) -> None:
    row = {
        "roster_id": event.roster_id, "supplement": event.supplement, "version": event.version,
        "count": event.count, "standard_fen": event.standard_fen, "personal_fen": event.personal_fen,
        "dispatched": False, "notice_closed": False,
    }  # fmt: skip
    await connection.upsert(SUPPLEMENT, [row])
    await connection.execute(
        sa.update(ROSTER).where(ROSTER.c.roster_id == event.roster_id).values(version=event.version)
    )


async def _apply_supplement_step(
    connection: Connection, event: e.RosterDispatched | e.RosterNoticeClosedNoted
) -> None:
    change: dict[str, Any] = {"notice_closed": True}
    if isinstance(event, e.RosterDispatched):
        change = {"dispatched": True, "notice_closed": not event.notice}
    await connection.execute(
        sa.update(SUPPLEMENT)
        .where(SUPPLEMENT.c.roster_id == event.roster_id, SUPPLEMENT.c.supplement == event.supplement)
        .values(**change)
    )


async def _apply_objection(
    connection: Connection,
    event: e.ObjectionNoted | e.RosterObjectionResolved | e.PaymentObjectionResolved,
) -> None:
    if isinstance(event, e.ObjectionNoted):
        row = {
            "objection_id": event.objection_id, "roster_id": event.roster_id, "notice_id": event.notice_id,
            "kind": event.kind, "person_id": event.person_id,
            "insurance": event.insurance.value if event.insurance is not None else None,
            "claim": event.claim, "outcome": "",
        }  # fmt: skip
        await connection.upsert(OBJECTION, [row])
        return
    await connection.execute(
        sa.update(OBJECTION)
        .where(OBJECTION.c.objection_id == event.objection_id)
        .values(outcome=event.outcome)
    )
