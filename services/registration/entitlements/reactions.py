"""Facts of ours that may change somebody's cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from services.registration.accounts.events import BookkeepingReversed
from services.registration.causes import following
from services.registration.entitlements.handlers import Entitlements
from services.registration.entitlements.projection import ENTITLEMENT
from services.registration.vital.events import DeathReportCorrected, DeathReported
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.insurance import Insurance


class ReviewCover:
    """Reversed: the year's cover is reviewed. (A booking and a resolution bring their own review.)"""

    name = "review-cover"
    handles: tuple[type[msgspec.Struct], ...] = (BookkeepingReversed,)

    def __init__(self, entitlements: Entitlements) -> None:
        self._entitlements = entitlements

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One review; pension bookings have no cover."""
        event: BookkeepingReversed = recorded.event
        if event.insurance is not Insurance.MEDICAL:
            return []
        metadata = following(recorded, self.name, event.campaign)
        key = derived_key(recorded, "review_cover")
        return [self._entitlements.review_command(event.year, event.person_id, metadata, key)]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)


class DeathsEndCover:
    """A death, or its correction: every year's cover of the person is reviewed (scenario 4)."""

    name = "deaths-end-cover"
    handles: tuple[type[msgspec.Struct], ...] = (DeathReported, DeathReportCorrected)

    def __init__(self, entitlements: Entitlements) -> None:
        self._entitlements = entitlements

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """One review per year that has, or had, cover."""
        person_id = recorded.event.person_id
        rows = await connection.execute(
            sa.select(ENTITLEMENT.c.year)
            .where(ENTITLEMENT.c.person_id == person_id)
            .order_by(ENTITLEMENT.c.year)
        )
        return [
            self._entitlements.review_command(
                row.year,
                person_id,
                following(recorded, self.name),
                derived_key(recorded, "review_cover", str(row.year)),
            )
            for row in rows
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        """Per person."""
        return str(recorded.event.person_id)
