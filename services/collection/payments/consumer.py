"""Deaths as registration reports them, to the obligations of the dead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.payments.handlers import note_death_command
from shared.contracts.registration import DeathReportCorrectedV1, DeathReportedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key

YEARS_BACK = 5
"""Insured years before the present one whose payments a late report still touches."""


class DeathsNoted:
    """DeathReportedV1 and its correction -> note_death on every obligation of recent and coming years."""

    name = "payments-deaths"
    handles: tuple[type[msgspec.Struct], ...] = (DeathReportedV1, DeathReportCorrectedV1)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        event = recorded.event
        # Money of year N is taken from year N-1 on; a report may be learned of years later.
        years = range(recorded.recorded_at.year - YEARS_BACK, recorded.recorded_at.year + 2)
        return [
            note_death_command(
                event.person_id,
                event.date,
                years,
                Metadata(recorded.metadata.correlation, recorded.event_id),
                derived_key(recorded, "note_death"),
                disputed=event.disputed,
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)
