"""Which of a page's events each projection takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.eventstore.tailing import Projection, Recorded


def shares_of(
    events: Sequence[Recorded[Any]], projections: Sequence[Projection]
) -> list[list[Recorded[Any]]]:
    """Per projection its events, in order; who handles a class is asked once a page."""
    shares: list[list[Recorded[Any]]] = [[] for _ in projections]
    takers: dict[type[Any], list[list[Recorded[Any]]]] = {}
    for recorded in events:
        kind = type(recorded.event)
        mine = takers.get(kind)
        if mine is None:
            mine = takers[kind] = [
                share
                for share, projection in zip(shares, projections, strict=True)
                if issubclass(kind, projection.handles)
            ]
        for share in mine:
            share.append(recorded)
    return shares
