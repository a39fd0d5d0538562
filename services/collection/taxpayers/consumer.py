"""Registration's messages to commands of ours (参保登记信息传递)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.obligations.following import follow
from services.collection.taxpayers.domain import LinkRegistration
from services.collection.taxpayers.handlers import Taxpayers
from shared.contracts.registration import RegistrationInfoTransmittedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded


class LinkRegistrations:
    """RegistrationInfoTransmittedV1 to accepted or rejected, linked and assessed."""

    name = "link-registrations"
    handles: tuple[type[msgspec.Struct], ...] = (RegistrationInfoTransmittedV1,)

    def __init__(self, taxpayers: Taxpayers) -> None:
        self._taxpayers = taxpayers

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command]:
        message: RegistrationInfoTransmittedV1 = recorded.event
        command = LinkRegistration(
            person_id=message.person_id,
            record_no=message.record_no,
            record_version=message.record_version,
            insurance=message.insurance,
            year=message.year,
            status=message.status,
            period_from=message.period_from,
            period_to=message.period_to,
            birth=message.birth,
            sex=message.sex,
            village=message.division,
            hukou_division=message.hukou_division,
            residence_permit=message.residence_permit,
            student=message.student,
            household=message.household,
        )
        return [self._taxpayers.link_registration_command(command, follow(recorded, self.name), None)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.person_id)
