"""What every reaction of this service says about the commands it causes."""

from __future__ import annotations

from typing import Any

from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.policy.pack import Pack


def follow(recorded: Recorded[Any], reaction: str, campaign: str = "", pack: Pack | None = None) -> Metadata:
    """Metadata of a command that follows from a fact: same correlation, caused by the fact."""
    return Metadata(
        correlation=recorded.metadata.correlation,
        causation=recorded.event_id,
        actor=f"system:{reaction}",
        organisation=recorded.metadata.organisation,
        campaign=campaign or recorded.metadata.campaign,
        pack=pack.id if pack is not None else "",
        pack_digest=pack.digest if pack is not None else "",
    )
