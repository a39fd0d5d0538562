"""Commands on lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.subsidy.lists import domain
from services.subsidy.lists.stream import subsidy_list
from shared.eventstore.commands import Accepted, Append, Command, Guard, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal

CORRECTED = "corrected-list-line"
_CORRECTED_BEFORE = Refusal(
    "LINE_NOT_FAILED", rule="I-10", field="lines", message="该行已更正 / the line was corrected before"
)


def submit_list(
    command: domain.SubmitList, today: dt.date, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """报送名单."""
    stream = subsidy_list(command.list_id, command.year)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.submit_list(loaded.state(stream), command, today)
        if isinstance(decision, Refusal):
            return decision
        header: Any = decision[0]
        answer = {
            "list_id": command.list_id,
            "lines": len(command.lines),
            "unmatched": header.unmatched,
            "late": header.late,
        }
        guards = [
            Guard(CORRECTED, f"{command.resubmits}:{line.line_no}", command.list_id, _CORRECTED_BEFORE)
            for line in command.lines
            if command.resubmits
        ]
        return Accepted((Append(stream, decision),), guards, response=answer)

    return Command("submit_list", (stream,), decide, metadata, key)


def verify_list(
    list_id: str, year: int, stamp: str, count: int, verified_by: str, metadata: Metadata, key: IdempotencyKey
) -> Command:
    """核实盖章."""
    stream = subsidy_list(list_id, year)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.verify_list(loaded.state(stream), stamp, count, verified_by)
        if isinstance(decision, Refusal):
            return decision
        return Accepted(
            (Append(stream, decision),), response={"list_id": list_id, "count": count}, status=200
        )

    return Command("verify_list", (stream,), decide, metadata, key)
