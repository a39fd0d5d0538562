"""How many indexes of a person are kept. Pure."""

from __future__ import annotations

from services.subsidy.identities import events as e
from shared.kernel.events import Event


def evolve(state: int, event: Event) -> int:
    """Number of index entries."""
    return state + event.indexes if isinstance(event, e.PersonIndexed) else state
