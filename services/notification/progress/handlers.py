"""Commands on bulletins."""

from __future__ import annotations

import datetime as dt

from services.notification.progress import domain
from services.notification.progress.stream import bulletin
from shared.eventstore.commands import Accepted, Append, Command, Loaded
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal


def issue_bulletin(campaign: str, day: dt.date, figures: domain.Figures, metadata: Metadata) -> Command:
    """发布进度通报."""
    stream = bulletin(campaign, figures.division, figures.insurance, day)

    def decide(loaded: Loaded) -> Accepted | Refusal:
        decision = domain.issue_bulletin(loaded.state(stream), campaign, day, figures)
        if isinstance(decision, Refusal):
            return decision
        return Accepted((Append(stream, decision),) if decision else ())

    return Command("issue_bulletin", (stream,), decide, metadata)
