"""Which events a capability's module defines."""

from __future__ import annotations

import inspect
from types import ModuleType

from shared.kernel.events import Event


def events_in(*modules: ModuleType) -> list[type[Event]]:
    """The events a module defines itself, in the order of their names."""
    return [
        member
        for module in modules
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Event) and member.__module__ == module.__name__
    ]
