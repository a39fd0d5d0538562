"""Commands on history: one builder, used by the route and the import alike."""

from __future__ import annotations

from services.collection.history import domain as d
from services.collection.history.stream import history_stream
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal


def record_command(command: d.RecordHistory, holder: str, metadata: Metadata, key: IdempotencyKey) -> Command:
    """Keep lines under their holder: a person for a row of a file, the village for a whole list."""
    stream = history_stream(command.year, holder)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        events = d.record_history(loaded.state(stream), command)
        if isinstance(events, Refusal):
            return events
        response = {"year": command.year, "village": command.village, "lines": len(command.lines)}
        return Accepted([Append(stream, events)] if events else [], response=response)

    return Command("record_history", [stream], decide, metadata, key)


class Histories:
    """Handlers of the history capability."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, command: d.RecordHistory, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Record a village's list."""
        return await self._store.execute(record_command(command, command.village, metadata, key))
