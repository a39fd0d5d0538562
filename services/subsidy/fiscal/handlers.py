"""Commands on couples and fiscal subsidies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from services.subsidy.fiscal import domain
from services.subsidy.fiscal.stream import couple, subsidy
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision
from shared.policy import Pack


def record_couple(
    command: domain.RecordCouple, pack: Pack, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """登记计生家庭."""
    stream = couple(command.year, command.wife_id)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.record_couple(loaded.state(stream), command, pack)
        if isinstance(decision, Refusal):
            return decision
        response = {
            "campaign": command.campaign,
            "kind": command.kind,
            "spouses": 1 + bool(command.husband_id),
        }
        appends = (Append(stream, decision),) if decision else ()
        return Accepted(appends, response=response, status=201 if decision else 200)

    return Command("record_couple", (stream,), decide, metadata, key)


def move(
    operation: str,
    key: domain.SubsidyKey,
    judge: Callable[[domain.Subsidy], Decision],
    metadata: Metadata,
    idempotency: IdempotencyKey | None,
) -> Command:
    """Claim, appropriate or arrive."""
    stream = subsidy(key)

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


def claim(key: domain.SubsidyKey, heads: int, fen: int, as_of: dt.date, metadata: Metadata) -> Command:
    """申请: what registration counted."""
    return move(
        "claim_fiscal_subsidy", key, lambda state: domain.claim(state, key, heads, fen, as_of), metadata, None
    )


def _shown(key: domain.SubsidyKey, state: domain.Subsidy) -> dict[str, Any]:
    return {
        "campaign": key.campaign,
        "kind": key.kind,
        "heads": state.heads,
        "claimed_fen": state.claimed_fen,
        "appropriated_fen": state.appropriated_fen,
        "arrived_fen": state.arrived_fen,
    }
