"""Closing a task."""

from __future__ import annotations

from dataclasses import dataclass

from services.registration.tasks.events import TaskClosed
from shared.eventstore.commands import Accepted, Append, Command, IdempotencyKey, Loaded, Outcome, Store
from shared.eventstore.streams import Category, Metadata, Stream
from shared.kernel.events import Event


@dataclass(frozen=True, slots=True)
class Closed:
    """State of ``process:task:{id}``: how often it was closed."""

    times: int = 0


def evolve(state: Closed, event: Event) -> Closed:
    """Fold one event."""
    return Closed(state.times + 1) if isinstance(event, TaskClosed) else state


TASKS = Category("process", Closed(), evolve)


def task_process(task_id: str) -> Stream[Closed]:
    """``process:task:{id}``."""
    return TASKS.stream("task", task_id)


class Tasks:
    """Closes tasks with a finding."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def close(self, task_id: str, finding: str, metadata: Metadata, key: IdempotencyKey) -> Outcome:
        """Keep the finding; the route has seen that the task is open."""
        stream = task_process(task_id)

        def judge(loaded: Loaded) -> Accepted:
            loaded.state(stream)
            event = TaskClosed(task_id=task_id, finding=finding)
            return Accepted([Append(stream, [event])], response={"task_id": task_id, "state": "CLOSED"})

        return await self._store.execute(Command("close_task", [stream], judge, metadata, key))
