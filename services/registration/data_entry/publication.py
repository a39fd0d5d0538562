"""Entries as contract messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.registration.data_entry import events as e
from shared.contracts import registration as r
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class DataEntryPublication:
    """参保信息录入."""

    name = "data-entry"
    handles: tuple[type[Event], ...] = (e.EnrolmentEntered,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """One message per leg."""
        event: e.EnrolmentEntered = recorded.event
        return [
            r.EnrolmentEnteredV1(
                person_id=event.person_id,
                insurance=event.insurance,
                year=event.year,
                payer=event.payer,
                campaign=event.campaign,
                village=event.village,
                voucher_no=event.document_no,
                fen=event.fen,
                entered_on=event.entered_on,
            )
        ]
