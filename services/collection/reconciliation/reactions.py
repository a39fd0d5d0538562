"""A day began: reconcile what is not reconciled yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.reconciliation.handlers import reconcile_command
from services.collection.reconciliation.queries import SnapshotFacts, days_to_reconcile
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.events import DayBegun


class DaysReconciled:
    """DayBegun -> reconcile for yesterday and for every earlier day that did not agree."""

    name = "reconciliation-days"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun,)

    def __init__(self, snapshots: SnapshotFacts) -> None:
        self._snapshots = snapshots

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        today = recorded.event.day
        told = Metadata(recorded.metadata.correlation, recorded.event_id)
        return [
            reconcile_command(
                campaign,
                date,
                today,
                self._snapshots,
                told,
                derived_key(recorded, "reconcile", f"{campaign}/{date}"),
            )
            for campaign, date in await days_to_reconcile(connection, today)
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return "calendar"
