"""Events of ``process:task:{task_id}``."""

from __future__ import annotations

from shared.kernel.events import Event


class TaskClosed(Event, frozen=True, kw_only=True):
    """待办办结: a clerk looked into it. finding: a code, never personal data."""

    task_id: str
    finding: str


EVENTS: tuple[type[Event], ...] = (TaskClosed,)
