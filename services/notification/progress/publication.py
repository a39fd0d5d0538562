"""Bulletins as published messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.notification.progress import events as e
from shared.contracts.message import Message
from shared.contracts.notification import ProgressBulletinIssuedV1
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class ProgressPublication:
    """征缴进度通报."""

    name = "progress"
    handles: tuple[type[Event], ...] = e.EVENTS

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per bulletin."""
        event: e.ProgressBulletinIssued = recorded.event
        return [
            ProgressBulletinIssuedV1(
                campaign=event.campaign,
                day=event.day,
                insurance=event.insurance,
                division=event.division,
                persons=event.persons,
                paid_persons=event.paid_persons,
                paid_fen=event.paid_fen,
            )
        ]
