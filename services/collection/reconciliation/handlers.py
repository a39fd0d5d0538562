"""Commands of reconciliation."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from services.collection.reconciliation import events as r
from services.collection.reconciliation.domain import Snapshot, receive_statement, reconcile_day
from services.collection.reconciliation.queries import month_bounds
from services.collection.reconciliation.stream import day_stream, month_stream
from shared.eventstore.commands import Accepted, Append, Command, FactSource, IdempotencyKey, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal


def reconcile_command(
    campaign: str,
    date: dt.date,
    today: dt.date,
    snapshots: FactSource,
    metadata: Metadata,
    key: IdempotencyKey | None,
) -> Command:
    """对账 of a day against what the read models hold now."""
    stream = day_stream(campaign, date)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        seen: Snapshot = loaded.fact(snapshots, (campaign, date)) or Snapshot()
        if date != today - dt.timedelta(days=1):
            # Villages are matched over the whole campaign: once a day, with the day before.
            seen = replace(seen, villages=())
        events = reconcile_day(loaded.state(stream), campaign, date, today, seen)
        body = {
            "campaign": campaign,
            "date": date.isoformat(),
            "vouchers": len(seen.vouchers),
            "found": [type(event).__name__ for event in events],
        }
        return Accepted([Append(stream, events)] if events else [], response=body)

    told = replace(metadata, campaign=campaign)
    facts = [(snapshots, [(campaign, date)])]
    return Command("reconcile", [stream], decide, told, key, facts)


def statement_command(
    statement: r.PartyStatementReceived,
    months: FactSource,
    metadata: Metadata,
    key: IdempotencyKey,
) -> Command:
    """月度对账单 of a party."""
    stream = month_stream(statement.campaign, statement.month)
    wanted = (statement.campaign, statement.month)
    last = month_bounds(statement.month)[1]

    def decide(loaded: Loaded) -> Accepted | Refusal:
        events = receive_statement(loaded.state(stream), statement, last, loaded.fact(months, wanted) or {})
        found = [e for e in events if isinstance(e, r.ReconciliationDifferenceFound)]
        body = {
            "month": statement.month,
            "party": statement.party,
            "differences": [
                {"difference_id": e.difference_id, "insurance": e.insurance.value, "fen": e.fen}
                for e in found
            ],
        }
        return Accepted([Append(stream, events)] if events else [], response=body)

    told = replace(metadata, campaign=statement.campaign)
    return Command("receive_statement", [stream], decide, told, key, [(months, [wanted])])
