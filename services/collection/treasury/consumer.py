"""What subsidy pays for people, and what registration acknowledges."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from services.collection.obligations.flows import MoneyFlows
from services.collection.treasury.domain import acknowledge
from services.collection.treasury.handlers import government_command, step_command
from services.collection.treasury.queries import legs_assessed
from shared.contracts.registration import CollectionInfoAcknowledgedV1
from shared.contracts.subsidy import GovernmentPaymentSubmittedV1
from shared.eventstore.commands import Command, IdempotencyKey
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.clock import Clock

DrawDocument = Callable[[GovernmentPaymentSubmittedV1, dt.datetime, Metadata, IdempotencyKey], Command]

PATIENCE_DAYS = 3
"""How long a payment waits for assessments that are still on their way; then differing lines are refused."""


class GovernmentPaymentsVouchered:
    """GovernmentPaymentSubmittedV1 -> voucher_government_payment, one command per part.

    drawn: what stands for the voucher in a campaign that pays into fund accounts.
    """

    name = "treasury-government"
    page = 4  # a part holds five hundred obligations
    handles: tuple[type[msgspec.Struct], ...] = (GovernmentPaymentSubmittedV1,)

    def __init__(self, clock: Clock, flows: MoneyFlows, drawn: DrawDocument) -> None:
        self._clock = clock
        self._flows = flows
        self._drawn = drawn

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        message = recorded.event
        if (self._clock.today() - recorded.recorded_at.date()).days < PATIENCE_DAYS:
            persons = [line.person_id for line in message.lines]
            known = await legs_assessed(connection, message.year, message.insurance, persons)
            if any(known.get((line.person_id, line.payer), 0) != line.fen for line in message.lines):
                return Wait("LEG_NOT_ASSESSED")
        told = Metadata(recorded.metadata.correlation, recorded.event_id)
        if await self._flows.into_fund_accounts(connection, message.campaign):
            key = derived_key(recorded, "draw_government_document")
            return [self._drawn(message, recorded.occurred_at, told, key)]
        key = derived_key(recorded, "voucher_government_payment")
        return [government_command(message, recorded.occurred_at, told, key)]

    def key(self, recorded: Recorded[Any]) -> str:
        # A part that waits must not hold up the department's other payments.
        return f"{recorded.event.payment_no}/{recorded.event.part}"


class ReturnsAcknowledged:
    """CollectionInfoAcknowledgedV1 -> acknowledge_return."""

    name = "treasury-acknowledged"
    handles: tuple[type[msgspec.Struct], ...] = (CollectionInfoAcknowledgedV1,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        message = recorded.event
        refused = tuple((line.line_no, line.error) for line in message.refused)
        told = Metadata(recorded.metadata.correlation, recorded.event_id)
        return [
            step_command(
                "acknowledge_return",
                message.voucher_no,
                lambda state: acknowledge(
                    state,
                    message.voucher_no,
                    message.return_no,
                    (message.booked_lines, message.booked_fen),
                    refused,
                ),
                ("",),
                told,
                derived_key(recorded, "acknowledge_return"),
            )
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.voucher_no)
