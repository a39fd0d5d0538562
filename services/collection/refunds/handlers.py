"""Commands of refunds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
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
    recover_refund,
)
from services.collection.refunds.projection import refund_table
from services.collection.refunds.stream import refund_stream
from shared.eventstore.commands import (
    Accepted,
    Append,
    Command,
    FactSource,
    Guard,
    IdempotencyKey,
    Loaded,
    Outcome,
    Store,
)
from shared.eventstore.database import Database, Row
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance

FindLine = Callable[[str], Awaitable[Row | None]]
"""Payments' row of a line id."""

LINE_CLAIM = "vouchered"
"""The guard that says who moves a payment line's money: a voucher, or, before any voucher, its refund."""

IN_FLIGHT_NOW = Refusal("INVALID_STATE", rule="MONEY_IN_FLIGHT", clause="I-23")


@dataclass(frozen=True, slots=True)
class MoneyTrail:
    """Where a line's money is, as treasury knows it.

    stages: line id -> "" (not settled), SETTLED, DECLARED or its voucher's state; voucher: number -> the
    voucher's stream, whose state has a status.
    """

    stages: FactSource
    voucher: Callable[[str], Stream[Any]]


def _told(state: Refund, events: list[Event]) -> dict[str, Any]:
    for event in events:
        state = evolve(state, event)
    return {"status": state.status, "fen": state.fen, "reason": state.reason}


def open_command(
    owed: Owed,
    reason: str,
    applicant: str,
    trail: MoneyTrail,
    metadata: Metadata,
    key: IdempotencyKey | None,
) -> Command:
    """退费申请与受理; the obligation itself is loaded, so a finding that was withdrawn opens nothing."""
    stream = refund_stream(owed.refund_no)
    source = obligation(owed.year, owed.insurance, owed.person_id)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        stage = loaded.fact(trail.stages, owed.line_id) or ""
        events = open_refund(state, owed, loaded.state(source), reason, applicant, stage)
        if isinstance(events, Refusal):
            return events
        body = {"refund_no": owed.refund_no} | _told(state, events)
        return Accepted(
            [Append(stream, events)] if events else [], response=body, status=201 if events else 200
        )

    facts = [(trail.stages, [owed.line_id])]
    return Command("open_refund", [stream, source], decide, metadata, key, facts)


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


def pay_command(
    owed: Owed,
    payout: Payout,
    trail: MoneyTrail,
    holder: str,
    metadata: Metadata,
    key: IdempotencyKey | None,
) -> Command:
    """退付 on the refund and the obligation together.

    holder: who has the line's claim ("" nobody). A voucher: its money must have arrived. Nobody: the refund
    takes the claim, so that no voucher moves the money a second time, however late the read models are.
    """
    stream = refund_stream(owed.refund_no)
    source = obligation(owed.year, owed.insurance, owed.person_id)
    voucher = trail.voucher(holder) if holder not in ("", owed.refund_no) else None

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        where = loaded.state(voucher).status if voucher is not None else None
        stage = where if where is not None else loaded.fact(trail.stages, owed.line_id) or ""
        decided = pay_refund(state, owed, loaded.state(source), replace(payout, stage=stage))
        if isinstance(decided, Refusal):
            return decided
        own, other = decided
        body = {"refund_no": owed.refund_no} | _told(state, own)
        appends = [Append(each, events) for each, events in ((stream, own), (source, other)) if events]
        takes = bool(other) and not holder
        guards = [Guard(LINE_CLAIM, owed.line_id, owed.refund_no, IN_FLIGHT_NOW)] if takes else []
        return Accepted(appends, guards, response=body, status=200)

    streams: list[Stream[Any]] = [stream, source]
    if voucher is not None:
        streams.append(voucher)
    facts = [(trail.stages, [owed.line_id])]
    return Command("pay_refund", streams, decide, metadata, key, facts)


class Refunds:
    """Handlers of the refunds capability."""

    def __init__(self, store: Store, database: Database, find_line: FindLine, trail: MoneyTrail) -> None:
        self._store = store
        self._database = database
        self._find_line = find_line
        self._trail = trail

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
        return await self._store.execute(open_command(owed, reason, applicant, self._trail, told, key))

    async def pay(
        self,
        refund_no: str,
        payout: Payout,
        divisions: tuple[str, ...],
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Outcome:
        """退付 as the bank or treasury told."""
        row = await self._refund(refund_no, divisions)
        if isinstance(row, Refusal):
            return row
        owed = Owed(row.year, Insurance(row.insurance), row.person_id, row.payment_line_id)
        holders = await self._store.guard_holders(LINE_CLAIM, [owed.line_id])
        holder = holders.get(owed.line_id, "")
        told = replace(metadata, campaign=row.campaign)
        return await self._store.execute(pay_command(owed, payout, self._trail, holder, told, key))

    async def recover(
        self,
        refund_no: str,
        payout: Payout,
        divisions: tuple[str, ...],
        metadata: Metadata,
        key: IdempotencyKey | None,
    ) -> Outcome:
        """追回 of what was paid after the refund had been cancelled."""
        row = await self._refund(refund_no, divisions)
        if isinstance(row, Refusal):
            return row
        told = replace(metadata, campaign=row.campaign)
        return await self._store.execute(
            refund_command(
                "recover_refund",
                refund_no,
                lambda state: recover_refund(
                    state, refund_no, row.payment_line_id, payout.fen, payout.paid_on, payout.bank_ref
                ),
                told,
                key,
            )
        )

    async def _refund(self, refund_no: str, divisions: tuple[str, ...]) -> Row | Refusal:
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(refund_table).where(refund_table.c.refund_no == refund_no)
            )
        if not rows:
            return Refusal("NOT_FOUND", rule="REFUND_UNKNOWN", field="refund_no")
        if not any(rows[0].village.startswith(scope) for scope in divisions):
            return Refusal("DIVISION_FORBIDDEN", field="refund_no")
        return rows[0]
