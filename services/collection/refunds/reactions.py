"""Findings on obligations that open or cancel refunds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.collection.obligations import events as e
from services.collection.refunds.domain import DIED_BEFORE_PERIOD, OPEN, Owed
from services.collection.refunds.handlers import MoneyTrail, cancel_command, open_command
from services.collection.refunds.projection import refund_table
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key


class FindingsRefunded:
    """A line that cannot be effective -> open_refund; a withdrawn finding or death -> cancel_refund."""

    name = "refunds-findings"
    handles: tuple[type[msgspec.Struct], ...] = (
        e.DuplicatePaymentDetected,
        e.PostDeathPaymentDetected,
        e.MisfitPaymentDetected,
        e.PostDeathFindingWithdrawn,
        e.PayerDeathNoted,
    )

    def __init__(self, trail: MoneyTrail) -> None:
        self._trail = trail

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        event = recorded.event
        told = Metadata(recorded.metadata.correlation, recorded.event_id, campaign=recorded.metadata.campaign)
        if isinstance(event, e.PostDeathFindingWithdrawn):
            number = "F-" + event.line_id.replace("/", "-")
            return [cancel_command(number, "DEATH_WITHDRAWN", told, derived_key(recorded, "cancel_refund"))]
        if isinstance(event, e.PayerDeathNoted):
            return await self._recheck(event, recorded, told, connection)
        owed = Owed(event.year, event.insurance, event.person_id, event.line_id)
        key = derived_key(recorded, "open_refund")
        return [open_command(owed, _reason(event), "SYSTEM", self._trail, told, key)]

    async def _recheck(
        self, event: e.PayerDeathNoted, recorded: Recorded[Any], told: Metadata, connection: Connection
    ) -> Sequence[Command]:
        """A corrected death that is no longer before the period cancels what rested on it."""
        if event.died_on is not None and event.died_on.year < event.year:
            return []
        c = refund_table.c
        rows = await connection.execute(
            sa.select(c.refund_no).where(
                c.person_id == event.person_id,
                c.year == event.year,
                c.insurance == event.insurance.value,
                c.reason == DIED_BEFORE_PERIOD,
                c.state.in_(sorted(OPEN)),
            )
        )
        return [
            cancel_command(number, "DEATH_WITHDRAWN", told, derived_key(recorded, "cancel_refund", number))
            for (number,) in rows
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)


def _reason(event: Any) -> str:
    if isinstance(event, e.DuplicatePaymentDetected):
        return "DUPLICATE"
    return "PAID_AFTER_DEATH" if isinstance(event, e.PostDeathPaymentDetected) else str(event.kind)
