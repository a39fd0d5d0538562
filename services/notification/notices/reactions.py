"""Our own facts to commands: a day that begins closes the notices that are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.notification.notices import handlers, queries
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.events import DayBegun


class CloseDueNotices:
    """日切后结束到期公示 (I-09)."""

    name = "notices.close_due"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per due notice, in order of notice id."""
        day = recorded.event.day
        return [
            handlers.close_notice(
                row.notice_id,
                row.campaign,
                day,
                Metadata(recorded.metadata.correlation, recorded.event_id, campaign=row.campaign),
                derived_key(recorded, "close_notice", row.notice_id),
            )
            for row in await queries.due(connection, day)
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Days stay in order."""
        return "calendar"
