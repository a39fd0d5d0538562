"""What the other services learn of rosters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.collection.roster import events as e
from shared.contracts import collection as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class RosterPublication:
    """Formed, dispatched, amended, final; objections resolved; signed and stamped."""

    name = "rosters"
    handles: tuple[type[Event], ...] = (
        e.CollectionRosterFormed,
        e.SupplementaryRosterFormed,
        e.RosterLines,
        e.RosterDispatched,
        e.RosterAmended,
        e.RosterFinalized,
        e.RosterObjectionResolved,
        e.PaymentObjectionResolved,
        e.VillageRosterSigned,
        e.PaymentNoticeStamped,
    )

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        match event:
            case e.CollectionRosterFormed() | e.SupplementaryRosterFormed():
                return [_formed(event)]
            case e.RosterLines():
                return [_lines(event)]
            case e.RosterDispatched():
                return [_dispatched(event)]
            case e.RosterAmended():
                return [_amended(event)]
            case e.RosterFinalized():
                return [_final(event)]
            case e.RosterObjectionResolved() | e.PaymentObjectionResolved():
                return [_resolved(event)]
            case e.VillageRosterSigned():
                return [
                    c.VillageRosterSignedV1(
                        village=event.village, campaign=event.campaign, roster_id=event.roster_id,
                        count=event.count, fen=event.fen,
                    )
                ]  # fmt: skip
            case e.PaymentNoticeStamped():
                return [
                    c.PaymentNoticeStampedV1(
                        village=event.village, campaign=event.campaign, roster_id=event.roster_id,
                        count=event.count, fen=event.fen,
                    )
                ]  # fmt: skip
            case _:
                return []


def _formed(event: e.CollectionRosterFormed | e.SupplementaryRosterFormed) -> Message:
    return c.CollectionRosterFormedV1(
        village=event.village,
        campaign=event.campaign,
        roster_id=event.roster_id,
        version=event.version,
        count=event.count,
        standard_fen=event.standard_fen,
        personal_fen=event.personal_fen,
        digest=event.digest,
        supplementary=isinstance(event, e.SupplementaryRosterFormed),
    )


def _lines(event: e.RosterLines) -> Message:
    return c.RosterLinesFormedV1(
        village=event.village,
        campaign=event.campaign,
        roster_id=event.roster_id,
        version=event.version,
        part=event.part,
        parts=event.parts,
        lines=tuple(
            c.RosterLine(
                person_id=entry.person_id,
                insurance=entry.insurance,
                standard_fen=entry.standard_fen,
                personal_fen=entry.personal_fen,
                category=entry.category,
            )
            for entry in event.lines
        ),
    )


def _dispatched(event: e.RosterDispatched) -> Message:
    return c.RosterDispatchedV1(
        village=event.village,
        campaign=event.campaign,
        roster_id=event.roster_id,
        version=event.version,
        count=event.count,
        standard_fen=event.standard_fen,
        personal_fen=event.personal_fen,
        supplementary=event.supplement > 0,
    )


def _amended(event: e.RosterAmended) -> Message:
    return c.RosterAmendedV1(
        village=event.village,
        campaign=event.campaign,
        roster_id=event.roster_id,
        version=event.version,
        added=event.added,
        removed=len(event.removed),
        count=event.count,
        standard_fen=event.standard_fen,
        personal_fen=event.personal_fen,
    )


def _final(event: e.RosterFinalized) -> Message:
    return c.RosterFinalizedV1(
        village=event.village,
        campaign=event.campaign,
        roster_id=event.roster_id,
        version=event.version,
        count=event.count,
        standard_fen=event.standard_fen,
        personal_fen=event.personal_fen,
    )


def _resolved(event: e.RosterObjectionResolved | e.PaymentObjectionResolved) -> Message:
    return c.ObjectionResolvedV1(
        village=event.village,
        campaign=event.campaign,
        objection_id=event.objection_id,
        notice_id=event.notice_id,
        outcome=event.outcome,
        finding=event.finding,
    )
