"""Notification's notices and objections, to the roster they concern (公示)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.obligations.following import follow
from services.collection.roster.domain import Place
from services.collection.roster.handlers import Rosters
from services.collection.roster.objections import PAYMENT, ROSTER, Raised
from shared.contracts.notification import (
    PaymentNoticeClosedV1,
    PaymentObjectionRaisedV1,
    RosterNoticeClosedV1,
    RosterObjectionRaisedV1,
)
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, derived_key


class NoteNotices:
    """Notices closed and objections raised; in order per village."""

    name = "note-notices"
    handles: tuple[type[msgspec.Struct], ...] = (
        RosterNoticeClosedV1,
        PaymentNoticeClosedV1,
        RosterObjectionRaisedV1,
        PaymentObjectionRaisedV1,
    )

    def __init__(self, rosters: Rosters) -> None:
        self._rosters = rosters

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        message = recorded.event
        place = Place(message.campaign, message.village)
        about = follow(recorded, self.name, message.campaign)
        rosters = self._rosters
        match message:
            case RosterNoticeClosedV1():
                key = derived_key(recorded, "note_roster_notice")
                return [
                    rosters.note_notice_closed_command(
                        place, message.notice_id, message.roster_version, message.closed_on, about, key
                    )
                ]
            case PaymentNoticeClosedV1():
                key = derived_key(recorded, "note_payment_notice")
                return [
                    rosters.note_payment_notice_command(
                        place, message.notice_id, message.kind, message.closed_on, about, key
                    )
                ]
            case RosterObjectionRaisedV1() | PaymentObjectionRaisedV1():
                key = derived_key(recorded, "note_objection")
                return [rosters.note_objection_command(place, _raised(message), about, key)]
            case _:
                return []

    def key(self, recorded: Recorded[Any]) -> str:
        return f"{recorded.event.campaign}.{recorded.event.village}"


def _raised(message: RosterObjectionRaisedV1 | PaymentObjectionRaisedV1) -> Raised:
    of_roster = isinstance(message, RosterObjectionRaisedV1)
    return Raised(
        objection_id=message.objection_id,
        notice_id=message.notice_id,
        kind=ROSTER if of_roster else PAYMENT,
        person_id=message.person_id,
        insurance=message.insurance,
        claim=message.claim if isinstance(message, RosterObjectionRaisedV1) else message.issue,
    )
