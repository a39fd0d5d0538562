"""Whether a reminder is still to be sent. Pure."""

from __future__ import annotations

import datetime as dt

from services.notification.reminders import events as e
from shared.kernel.events import Decision, Event
from shared.kernel.insurance import Insurance

Reminded = frozenset[dt.date]
"""State: the birthdays a person was reminded of."""


def evolve(state: Reminded, event: Event) -> Reminded:
    """Fold one event."""
    return state | {event.birthday} if isinstance(event, e.BirthdayHoldNotified) else state


def notify_birthday_hold(
    state: Reminded,
    person_id: str,
    insurance: Insurance,
    year: int,
    campaign: str,
    village: str,
    birthday: dt.date,
) -> Decision:
    """Once per birthday."""
    if birthday in state:
        return []
    return [
        e.BirthdayHoldNotified(
            person_id=person_id,
            insurance=insurance,
            year=year,
            campaign=campaign,
            village=village,
            birthday=birthday,
        )
    ]
