"""Couples for registration, one message a spouse; the way of the money for whoever follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.subsidy.fiscal import events as e
from shared.contracts import subsidy as c
from shared.contracts.message import Message
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event


class FiscalPublication:
    """计生家庭、财政补助."""

    name = "fiscal"
    handles: tuple[type[Event], ...] = e.EVENTS

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """Two spouses are two messages: each has his own account."""
        event = recorded.event
        match event:
            case e.FamilyPlanningCoupleRecorded():
                return [
                    c.FamilyPlanningSpouseRecordedV1(
                        person_id=person_id,
                        wife_id=event.wife_id,
                        kind=event.kind,
                        campaign=event.campaign,
                        year=event.year,
                    )
                    for person_id in (event.wife_id, event.husband_id)
                    if person_id
                ]
            case e.FiscalSubsidyClaimed():
                return [_moved(event, "CLAIMED", event.heads)]
            case e.FiscalSubsidyAppropriated():
                return [_moved(event, "APPROPRIATED", 0)]
            case _:
                return [_moved(event, "ARRIVED", 0)]


def _moved(event: Any, state: str, heads: int) -> Message:
    return c.FiscalSubsidyMovedV1(
        campaign=event.campaign,
        year=event.year,
        kind=event.kind,
        state=state,
        heads=heads,
        fen=event.fen,
    )
