"""A day that begins issues the bulletins that are due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.notification.progress import handlers, queries
from services.notification.progress.domain import bulletin_due
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait
from shared.kernel.events import DayBegun


class IssueBulletins:
    """定期通报征缴进度."""

    name = "progress.bulletins"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One bulletin per town and insurance."""
        day = recorded.event.day
        commands: list[Command] = []
        for row in await queries.campaigns(connection):
            if not bulletin_due(day, row.window_from, row.window_to):
                continue
            caused = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=row.campaign)
            commands += [
                handlers.issue_bulletin(row.campaign, day, figures, caused)
                for figures in await queries.by_town(connection, row.campaign)
            ]
        return commands

    def key(self, recorded: Recorded[Any]) -> str:
        """Days stay in order."""
        return "calendar"
