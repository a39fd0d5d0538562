"""What batches and pages share: what commands need, their facts, their rows, the positions they got."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from shared.eventstore.commands import Command, Done, FactSource, Outcome, RowWrite
from shared.eventstore.database import Connection
from shared.eventstore.decision import Plan
from shared.eventstore.log import KeyId, StreamKey, Verdict
from shared.eventstore.metrics import WriterMetrics
from shared.kernel.errors import Refusal


def needs(commands: Iterable[Command], *, keyed: bool = True) -> tuple[list[StreamKey], list[KeyId]]:
    """Streams and idempotency keys of all commands, each once; without ``keyed`` no derived keys."""
    streams: dict[StreamKey, None] = {}
    keys: dict[KeyId, None] = {}
    for command in commands:
        for stream in command.streams:
            streams[stream.era, stream.id] = None
        key = command.key
        if key is not None and (keyed or not key.derived):
            keys[key.organisation, key.operation, key.key] = None
    return list(streams), list(keys)


def fact_needs(commands: Iterable[Command]) -> list[tuple[FactSource, Sequence[Hashable]]]:
    """Sources of all commands, each once with its keys."""
    sources: dict[int, tuple[FactSource, dict[Hashable, None]]] = {}
    for command in commands:
        for source, keys in command.facts:
            known = sources.get(id(source))
            if known is None:
                known = sources[id(source)] = (source, {})
            wanted = known[1]
            for key in keys:
                wanted[key] = None
    return [(source, list(wanted)) for source, wanted in sources.values()]


async def load_facts(
    connection: Connection, needed: Iterable[tuple[FactSource, Sequence[Hashable]]]
) -> dict[int, Mapping[Any, Any]]:
    """One query per source (``decision.Facts``)."""
    return {id(source): await source.load(connection, keys) for source, keys in needed}


async def write_rows(connection: Connection, rows: Sequence[RowWrite]) -> None:
    """Upsert rows table by table, by primary key: two writers lock them in one order."""
    groups: dict[tuple[str, tuple[str, ...]], list[RowWrite]] = {}
    for row in rows:
        groups.setdefault((row.table.fullname, tuple(sorted(row.row))), []).append(row)
    for _, group in sorted(groups.items(), key=lambda item: item[0]):
        table = group[0].table
        keys = [column.name for column in table.primary_key.columns]
        ordered = sorted(group, key=lambda write: [write.row[key] for key in keys])
        await connection.upsert(table, [write.row for write in ordered])


def event_positions(plan: Plan, verdict: Verdict) -> list[int]:
    """Position of each event of the proposal; 0 for events of lost groups."""
    positions: list[int] = []
    following = verdict.first
    for event in plan.proposal.events:
        if event.group in verdict.lost:
            positions.append(0)
        else:
            positions.append(following)
            following += 1
    return positions


def joined(answer: Outcome) -> Outcome:
    """What a caller gets that joined another with the same key."""
    if isinstance(answer, Done):
        return Done(answer.response, answer.status, answer.position, replayed=True)
    return answer


def record_outcome(metrics: WriterMetrics, command: Command, answer: Outcome | Exception) -> None:
    """Count an answered command."""
    if isinstance(answer, Refusal):
        metrics.command(command.operation, "refused")
        metrics.refusal(answer.code)
    elif isinstance(answer, Done):
        metrics.command(command.operation, "replayed" if answer.replayed else "accepted")
    else:
        metrics.command(command.operation, "failed")
