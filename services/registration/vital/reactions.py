"""Reactions of the vital capability to the calendar and to its own reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.registration.causes import following
from services.registration.vital import domain
from services.registration.vital import events as e
from services.registration.vital.handlers import find_overdue_command, note_batch_command
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.events import DayBegun


class OverdueReports:
    """On the 6th: which sources owe last month's deaths (due on the 5th inclusive)."""

    name = "death-report-overdue"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One command per source."""
        day = recorded.event.day
        if day.day != domain.DUE_DAY + 1:
            return []
        month = domain.month_before(day)
        return [
            find_overdue_command(
                source,
                month,
                following(recorded, self.name),
                derived_key(recorded, "find_overdue_death_report", source),
            )
            for source in domain.SOURCES
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """The calendar is one sequence."""
        return "calendar"


class ReportsShowBatches:
    """A reported death of a month's batch shows that the source has reported for that month."""

    name = "death-report-batch"
    handles: tuple[type[msgspec.Struct], ...] = (e.DeathReported,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Note the batch."""
        event = recorded.event
        key = derived_key(recorded, "receive_death_batch")
        return [note_batch_command(event.source, event.batch_month, following(recorded, self.name), key)]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per source and month."""
        return f"{recorded.event.source}:{recorded.event.batch_month}"
