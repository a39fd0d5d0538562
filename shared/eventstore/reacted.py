"""What a reaction made of a page of events, before it is committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from shared.eventstore.commands import Command
from shared.eventstore.dead_letters import DeadLetter, Parked
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.observability.tracing import TRACEPARENT

SLICE = 500
"""Commands of one transaction; an event that fans out over more is committed in slices."""

BEHIND = "BEHIND"
"""Reason of what parks behind another event of its key."""


class UnkeyedFanOutError(Exception):
    """A reaction answered more commands than fit a slice and did not give each a key."""


@dataclass(slots=True)
class Reacted:
    """One event of a page and what its reaction made of it: commands, or a row to park, or a dead letter."""

    recorded: Recorded[Any]
    commands: Sequence[Command] = ()
    parked: Parked | None = None
    letter: DeadLetter | None = None


@dataclass(slots=True)
class Slice:
    """Events that commit together."""

    items: list[Reacted] = field(default_factory=list)

    def size(self) -> int:
        """Commands of all its events."""
        return sum(len(item.commands) for item in self.items)

    @property
    def plain(self) -> bool:
        """Whether it is a transaction of commands and nothing else: nothing waits, nothing is set aside."""
        aside = any(item.parked is not None or item.letter is not None for item in self.items)
        return not aside and 0 < self.size() <= SLICE


def with_event(recorded: Recorded[Any], event: Any) -> Recorded[Any]:
    """The same row of the log with another payload."""
    return Recorded(
        recorded.position,
        recorded.event_id,
        recorded.era,
        recorded.stream,
        recorded.version,
        event,
        recorded.metadata,
        recorded.occurred_at,
        recorded.recorded_at,
    )


def traced(commands: Sequence[Command], recorded: Recorded[Any]) -> Sequence[Command]:
    """The commands in the trace of what they follow from, if it has one that is sampled."""
    trace = recorded.metadata.extra.get(TRACEPARENT) if recorded.metadata.extra else None
    if not trace:
        return commands
    return [structs.replace(command, metadata=_in_trace(command.metadata, trace)) for command in commands]


def _in_trace(told: Metadata, trace: str) -> Metadata:
    return replace(told, extra={**told.extra, TRACEPARENT: trace})


def slices(reacted: Sequence[Reacted]) -> list[Slice]:
    """Whole events, up to SLICE commands together; an event with more stands alone."""
    groups = [Slice()]
    held = 0
    for item in reacted:
        if groups[-1].items and held + len(item.commands) > SLICE:
            groups.append(Slice())
            held = 0
        groups[-1].items.append(item)
        held += len(item.commands)
    return [group for group in groups if group.items]
