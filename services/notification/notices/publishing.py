"""What a village shows without a period: last year's payments, lists of people paid for. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.notification.notices import events as e
from shared.kernel.errors import Refusal
from shared.kernel.events import Decision, Event
from shared.policy import Pack

PRIOR_YEAR = "PRIOR_YEAR"
SUBSIDY_LIST = "SUBSIDY_LIST"


@dataclass(frozen=True, slots=True)
class Publish:
    """Command: a village shows something. about: list id, "" for last year's payments; fen where money is shown."""

    kind: str
    campaign: str
    village: str
    year: int
    persons: int
    fen: int = 0
    about: str = ""

    @property
    def publication_id(self) -> str:
        """One per village and thing shown, e.g. ``N-PRIOR_YEAR-370406101-2018.370406101201``."""
        ending = f"-{self.about}" if self.about else ""
        return f"N-{self.kind}-{self.campaign}.{self.village}{ending}"


@dataclass(frozen=True, slots=True)
class Publication:
    """State of ``notice:{publication_id}``: what was shown last."""

    shown: tuple[int, int] | None = None


def evolve_publication(state: Publication, event: Event) -> Publication:
    """Fold one event."""
    match event:
        case e.PriorYearPaymentsPublished():
            return Publication((event.persons, event.fen))
        case e.SubsidyListPublicised():
            return Publication((event.persons, 0))
        case _:
            return state


def publish(state: Publication, command: Publish, pack: Pack, today: dt.date) -> Decision:
    """公示: only what the plan asks villages to show; the same again is nothing new."""
    if not _asked(command.kind, pack):
        return Refusal(
            "STEP_NOT_IN_PLAN", rule=command.kind, field="campaign",
            message="本方案无此公示 / the plan has no such publication",
        )  # fmt: skip
    if state.shown == (command.persons, command.fen):
        return []
    if command.kind == PRIOR_YEAR:
        return [
            e.PriorYearPaymentsPublished(
                publication_id=command.publication_id,
                campaign=command.campaign,
                village=command.village,
                year=command.year,
                persons=command.persons,
                fen=command.fen,
                published_on=today,
            )
        ]
    return [
        e.SubsidyListPublicised(
            publication_id=command.publication_id,
            campaign=command.campaign,
            village=command.village,
            list_id=command.about,
            persons=command.persons,
            published_on=today,
        )
    ]


def _asked(kind: str, pack: Pack) -> bool:
    if kind == PRIOR_YEAR:
        return pack.notice(PRIOR_YEAR) is not None
    return any("SubsidyListPublicised" in step.events for step in pack.flow)
