"""Collection found a payer who should wait for a birthday: remind once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.notification.reminders import handlers
from shared.contracts.collection import BirthdayHoldFoundV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait


class RemindOfBirthday:
    """待满周岁再缴."""

    name = "reminders.birthday_hold"
    handles: tuple[type[msgspec.Struct], ...] = (BirthdayHoldFoundV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One reminder."""
        message: BirthdayHoldFoundV1 = recorded.event
        caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=message.campaign)
        return [handlers.notify_birthday_hold(message, caused)]

    def key(self, recorded: Recorded[Any]) -> str:
        """A person's reminders stay in order."""
        return str(recorded.event.person_id)
