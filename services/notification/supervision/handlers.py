"""Commands on cases."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.notification.supervision import domain
from services.notification.supervision.stream import case
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.division import parse_campaign
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision


def _accepted(stream: Stream[Any], decision: Decision, case_id: str) -> Accepted | Refusal:
    if isinstance(decision, Refusal):
        return decision
    appends = (Append(stream, decision),) if decision else ()
    return Accepted(appends, response={"case_id": case_id}, status=201 if decision else 200)


def flag(command: domain.Flag, today: dt.date, metadata: Metadata) -> Command:
    """登记线索."""
    stream = case(command.case_id, parse_campaign(command.campaign)[1])

    def decide(loaded: Loaded) -> Accepted | Refusal:
        return _accepted(stream, domain.flag(loaded.state(stream), command, today), command.case_id)

    return Command("flag", (stream,), decide, metadata)


def close_case(
    case_id: str,
    year: int,
    finding: str,
    closed_by: str,
    today: dt.date,
    metadata: Metadata,
    key: IdempotencyKey,
) -> Command:
    """结案."""
    stream = case(case_id, year)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.close_case(loaded.state(stream), case_id, finding, closed_by, today)
        return _accepted(stream, decision, case_id)

    return Command("close_case", (stream,), decide, metadata, key)
