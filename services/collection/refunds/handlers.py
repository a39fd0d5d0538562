"""Commands of refunds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from services.collection.obligations.stream import obligation
from services.collection.refunds.domain import (
    Owed,
    Payout,
    Refund,
    cancel_refund,
    evolve,
    open_refund,
    pay_refund,
)
from services.collection.refunds.projection import refund_table
from services.collection.refunds.stream import refund_stream
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.database import Database, Row
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

FindLine = Callable[[str], Awaitable[Row | None]]
"""Payments' row of a line id."""

LineStage = Callable[[str], Awaitable[str]]
"""Where a line's money is: "", SETTLED, DECLARED, or its voucher's state."""


def _told(state: Refund, events: list[Event]) -> dict[str, Any]:
    for event in events:
        state = evolve(state, event)
    return {"status": state.status, "fen": state.fen, "reason": state.reason}


def open_command(
    owed: Owed, reason: str, applicant: str, metadata: Metadata, key: IdempotencyKey | None
) -> Command:
    """退费申请与受理; the obligation itself is loaded, so a finding that was withdrawn opens nothing."""
    stream = refund_stream(owed.refund_no)
    source = obligation(owed.year, owed.insurance, owed.person_id)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        events = open_refund(state, owed, loaded.state(source), reason, applicant)
        if isinstance(events, Refusal):
            return events
        body = {"refund_no": owed.refund_no} | _told(state, events)
        return Accepted(
            [Append(stream, events)] if events else [], response=body, status=201 if events else 200
        )

    return Command("open_refund", [stream, source], decide, metadata, key)


def refund_command(
    operation: str,
    refund_no: str,
    decide_on: Callable[[Refund], list[Event] | Refusal],
    metadata: Metadata,
    key: IdempotencyKey | None,
) -> Command:
    """A command on the refund alone."""
    stream = refund_stream(refund_no)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        events = decide_on(state)
        if isinstance(events, Refusal):
            return events
        body = {"refund_no": refund_no} | _told(state, events)
        return Accepted([Append(stream, events)] if events else [], response=body, status=200)

    return Command(operation, [stream], decide, metadata, key)


def cancel_command(refund_no: str, reason: str, metadata: Metadata, key: IdempotencyKey) -> Command:
    """撤销."""
    return refund_command(
        "cancel_refund", refund_no, lambda state: cancel_refund(state, refund_no, reason), metadata, key
    )


def pay_command(owed: Owed, payout: Payout, metadata: Metadata, key: IdempotencyKey | None) -> Command:
    """退付 on the refund and the obligation together."""
    stream = refund_stream(owed.refund_no)
    source = obligation(owed.year, owed.insurance, owed.person_id)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        decided = pay_refund(state, owed, loaded.state(source), payout)
        if isinstance(decided, Refusal):
            return decided
        own, other = decided
        body = {"refund_no": owed.refund_no} | _told(state, own)
        appends = [Append(stream, own), Append(source, other)] if own else []
        return Accepted(appends, response=body, status=200)

    return Command("pay_refund", [stream, source], decide, metadata, key)


class Refunds:
    """Handlers of the refunds capability."""

    def __init__(self, store: Store, database: Database, find_line: FindLine, line_stage: LineStage) -> None:
        self._store = store
        self._database = database
        self._find_line = find_line
        self._line_stage = line_stage

    async def request(
        self,
        line_id: str,
        reason: str,
        applicant: str,
        divisions: tuple[str, ...],
        metadata: Metadata,
        key: IdempotencyKey,
    ) -> Outcome:
        """退费申请 by a payer, an heir or an agent."""
        row = await self._find_line(line_id)
        if row is None or not row.person_id:
            return Refusal("NOT_FOUND", rule="PAYMENT_UNKNOWN", field="payment_line_id")
        if not any(row.village.startswith(scope) for scope in divisions):
            return Refusal("DIVISION_FORBIDDEN", field="payment_line_id")
        owed = Owed(row.year, Insurance(row.insurance), row.person_id, line_id)
        told = replace(metadata, campaign=row.campaign)
        return await self._store.execute(open_command(owed, reason, applicant, told, key))

    async def pay(
        self,
        refund_no: str,
        payout: Payout,
        divisions: tuple[str, ...],
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Outcome:
        """退付 as the bank or treasury told."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(refund_table).where(refund_table.c.refund_no == refund_no)
            )
        if not rows:
            return Refusal("NOT_FOUND", rule="REFUND_UNKNOWN", field="refund_no")
        row = rows[0]
        if not any(row.village.startswith(scope) for scope in divisions):
            return Refusal("DIVISION_FORBIDDEN", field="refund_no")
        owed = Owed(row.year, Insurance(row.insurance), row.person_id, row.payment_line_id)
        placed = replace(payout, stage=await self._line_stage(row.payment_line_id))
        told = replace(metadata, campaign=row.campaign)
        return await self._store.execute(pay_command(owed, placed, told, key))
