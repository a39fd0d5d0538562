"""``GET /events``: the messages a service publishes, read from its own log by position.

The same envelopes as on the broker, but for the sealed fields: those are for the receivers named in them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from shared.contracts.message import Envelope
from shared.eventstore.log import Log
from shared.eventstore.tailing import Recorded
from shared.messaging.publication import Publications

MAX_LIMIT = 1000
_PAGES = 20


@dataclass(frozen=True, slots=True)
class FeedPage:
    """next_after: what to ask for next; equal to ``after`` when there is nothing new."""

    events: list[Envelope]
    next_after: int


async def feed(
    log: Log, publications: Publications, after: int, limit: int, only: Collection[str] = ()
) -> FeedPage:
    """Messages of the events after a position: of at most ``limit`` events, 1 to 1,000.

    Events that are not published are passed over; a long stretch of them may give an empty page that moves.
    An event whose publication raises is left out (the relay made a dead letter of it). only: names of the
    events whose messages are wanted (all when empty), found by one statement.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    names = log.types.names(publications.handles)
    if only:
        return await _some(log, publications, after, limit, names & frozenset(only))
    events: list[Envelope] = []
    for _ in range(_PAGES):
        page = await log.read_page(after, limit, names)
        for recorded in page.events:
            events += _envelopes(publications, recorded)
        moved, after = page.scanned > after, page.scanned
        if events or not moved:
            break
    return FeedPage(events, after)


async def _some(
    log: Log, publications: Publications, after: int, limit: int, names: frozenset[str]
) -> FeedPage:
    """Messages of few types among many: found by one statement."""
    found = await log.find(names, after, limit)
    events = [envelope for recorded in found for envelope in _envelopes(publications, recorded)]
    return FeedPage(events, found[-1].position if len(found) == limit else max(after, await log.head()))


def _envelopes(publications: Publications, recorded: Recorded[Any]) -> list[Envelope]:
    try:
        messages = publications.messages(recorded)
    except Exception:  # noqa: BLE001 - see feed
        return []
    return [publications.envelope(recorded, i, message) for i, message in enumerate(messages)]
