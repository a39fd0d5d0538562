"""Commands on reminders."""

from __future__ import annotations

from services.notification.reminders import domain
from services.notification.reminders.stream import birthday_hold
from shared.contracts.collection import BirthdayHoldFoundV1
from shared.eventstore.commands import Accepted, Append, Command, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal


def notify_birthday_hold(found: BirthdayHoldFoundV1, metadata: Metadata) -> Command:
    """提醒待满周岁再缴."""
    stream = birthday_hold(found.year, found.insurance, found.person_id)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.notify_birthday_hold(
            loaded.state(stream),
            found.person_id,
            found.insurance,
            found.year,
            found.campaign,
            found.village,
            found.birthday,
        )
        if isinstance(decision, Refusal):
            return decision
        return Accepted((Append(stream, decision),) if decision else ())

    return Command("notify_birthday_hold", (stream,), decide, metadata)
