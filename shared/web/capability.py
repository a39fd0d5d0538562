"""What one capability of a service adds to the service's description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from shared.eventstore.tailing import Projection, Reaction
from shared.messaging.publication import Publication
from shared.web.imports import ImportKind


@dataclass(frozen=True)
class Capability:
    """Answered by ``wiring.capability(...)``; ``app.py`` joins them.

    imports: upload kinds to register with ``ports.imports``.
    """

    projections: Sequence[Projection] = ()
    reactions: Sequence[Reaction] = ()
    publications: Sequence[Publication] = ()
    routers: Sequence[APIRouter] = ()
    imports: Sequence[ImportKind[Any]] = ()


def joined(capabilities: Iterable[Capability]) -> Capability:
    """All capabilities of a service as one, in order."""
    found = list(capabilities)
    return Capability(
        [item for one in found for item in one.projections],
        [item for one in found for item in one.reactions],
        [item for one in found for item in one.publications],
        [item for one in found for item in one.routers],
        [item for one in found for item in one.imports],
    )
