"""What registration acknowledges of the documents it booked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.fund_accounts import documents as doc
from services.collection.fund_accounts.handlers import step_command
from services.collection.obligations.following import follow
from shared.contracts.registration import CollectionInfoAcknowledgedV1
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key


class DocumentsAcknowledged:
    """CollectionInfoAcknowledgedV1 of a payment document -> acknowledge_document."""

    name = "fund-accounts-acknowledged"
    handles: tuple[type[msgspec.Struct], ...] = (CollectionInfoAcknowledgedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        message: CollectionInfoAcknowledgedV1 = recorded.event
        if not message.voucher_no.startswith("PD-"):
            return []
        refused = tuple((line.line_no, line.error) for line in message.refused)
        booked = (message.booked_lines, message.booked_fen)
        return [
            step_command(
                "acknowledge_document",
                message.voucher_no,
                lambda state, _: doc.acknowledge(
                    state, message.voucher_no, message.return_no, booked, refused
                ),
                ("",),
                follow(recorded, self.name),
                derived_key(recorded, "acknowledge_document"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.voucher_no)
