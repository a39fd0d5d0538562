"""Metadata of commands that follow from a fact."""

from __future__ import annotations

from typing import Any

from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded


def following(
    recorded: Recorded[Any], reaction: str, campaign: str = "", pack: str = "", digest: str = ""
) -> Metadata:
    """The fact's correlation, the fact itself as causation, the reaction as actor.

    campaign: of the command; the fact's own when empty.
    """
    return Metadata(
        correlation=recorded.metadata.correlation,
        causation=recorded.event_id,
        actor=reaction,
        organisation="registration",
        campaign=campaign or recorded.metadata.campaign,
        pack=pack or recorded.metadata.pack,
        pack_digest=digest or recorded.metadata.pack_digest,
    )
