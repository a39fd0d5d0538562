"""What a capability hands to ``app.py``: its readers, reactions, publications and routes, already wired."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from fastapi import APIRouter

from shared.eventstore.tailing import Projection, Reaction
from shared.kernel.events import Event
from shared.messaging.publication import Publication


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability, wired to its ports."""

    projections: Sequence[Projection] = ()
    reactions: Sequence[Reaction] = ()
    publications: Sequence[Publication] = ()
    routers: Sequence[APIRouter] = ()


def events_in(*modules: ModuleType) -> list[type[Event]]:
    """The events a module defines itself, in the order of their names."""
    return [
        member
        for module in modules
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Event) and member.__module__ == module.__name__
    ]
