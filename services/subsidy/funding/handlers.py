"""Commands on funds and refund approvals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from services.subsidy.funding import domain
from services.subsidy.funding import events as e
from services.subsidy.funding.stream import approval, fund
from shared.eventstore.commands import Accepted, Append, Command, Guard, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.kernel.insurance import Insurance

GUARD = "government-leg"
_TAKEN = Refusal("LEG_SUBMITTED", rule="I-27", message="该代缴已申报 / the leg was submitted")


def _fund_command(
    operation: str,
    key: domain.FundKey,
    judge: Callable[[domain.Fund], Decision],
    metadata: Metadata,
    idempotency: IdempotencyKey,
) -> Command:
    stream = fund(key)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        decision = judge(state)
        if isinstance(decision, Refusal):
            return decision
        for event in decision:
            state = domain.evolve(state, event)
        appends = (Append(stream, decision),) if decision else ()
        return Accepted(appends, response=_shown(key, state), status=201 if decision else 200)

    return Command(operation, (stream,), decide, metadata, idempotency)


def _shown(key: domain.FundKey, state: domain.Fund) -> dict[str, Any]:
    return {
        "department": key.department,
        "campaign": key.campaign,
        "kind": key.kind,
        "persons": state.persons,
        "applied_fen": state.applied_fen,
        "appropriated_fen": state.appropriated_fen,
        "transferred_fen": state.transferred_fen,
        "submitted_fen": state.submitted_fen,
    }


def apply_for_fund(
    key: domain.FundKey, persons: int, fen: int, metadata: Metadata, idempotency: IdempotencyKey
) -> Command:
    """申请资金."""

    def judge(state: domain.Fund) -> Decision:
        return domain.apply_for_fund(state, key, persons, fen)

    return _fund_command("apply_for_fund", key, judge, metadata, idempotency)


def appropriate_fund(
    key: domain.FundKey, fen: int, metadata: Metadata, idempotency: IdempotencyKey
) -> Command:
    """拨付资金."""

    def judge(state: domain.Fund) -> Decision:
        return domain.appropriate_fund(state, key, fen)

    return _fund_command("appropriate_fund", key, judge, metadata, idempotency)


def transfer_fund(key: domain.FundKey, fen: int, metadata: Metadata, idempotency: IdempotencyKey) -> Command:
    """转付资金."""

    def judge(state: domain.Fund) -> Decision:
        return domain.transfer_fund(state, key, fen)

    return _fund_command("transfer_fund", key, judge, metadata, idempotency)


def submit_government_payment(
    key: domain.FundKey,
    insurance: Insurance,
    lines: tuple[e.GovernmentLine, ...],
    returned: Mapping[str, int],
    metadata: Metadata,
    idempotency: IdempotencyKey,
) -> Command:
    """申报政府代缴: each leg once for ever, by a guard row; once more for every time it came back.

    returned: how often, per person.
    """
    stream = fund(key)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        state = loaded.state(stream)
        decision = domain.submit_government_payment(state, key, insurance, lines)
        if isinstance(decision, Refusal):
            return decision
        number = domain.payment_number(key, insurance, state.payments + 1)
        guards = [
            Guard(GUARD, _leg(key.year, insurance, line, returned.get(line.person_id, 0)), number, _TAKEN)
            for line in lines
        ]
        answer = {"payment_no": number, "count": len(lines), "fen": sum(line.fen for line in lines)}
        return Accepted((Append(stream, decision),), guards, response=answer)

    return Command("submit_government_payment", (stream,), decide, metadata, idempotency)


def return_leg(key: domain.FundKey, leg: domain.ReturnedLeg, metadata: Metadata) -> Command:
    """代缴行退回."""
    stream = fund(key)

    def decide(loaded: Loaded) -> Accepted:
        loaded.state(stream)
        return Accepted((Append(stream, domain.return_leg(key, leg)),))

    return Command("return_government_leg", (stream,), decide, metadata)


def _leg(year: int, insurance: Insurance, line: e.GovernmentLine, returned: int) -> str:
    leg = f"{year}:{insurance}:{line.person_id}:{line.payer}"
    return f"{leg}:{returned + 1}" if returned else leg


def request_approval(request: e.RefundApprovalRequested, metadata: Metadata, key: IdempotencyKey) -> Command:
    """提请审核退费."""
    stream = approval(request.refund_no, request.year)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.request_approval(loaded.state(stream), request)
        if isinstance(decision, Refusal):
            return decision
        return Accepted((Append(stream, decision),) if decision else ())

    return Command("request_approval", (stream,), decide, metadata, key)


def approve_refund(
    refund_no: str, year: int, approved_by: str, today: dt.date, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """审核退费."""
    stream = approval(refund_no, year)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.approve_refund(loaded.state(stream), approved_by, today)
        if isinstance(decision, Refusal):
            return decision
        return Accepted((Append(stream, decision),), response={"refund_no": refund_no}, status=200)

    return Command("approve_refund", (stream,), decide, metadata, key)
