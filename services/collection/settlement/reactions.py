"""Our own facts that settle a day: a summary, a deposit or a correction came; a day began."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from services.collection.settlement import events as s
from services.collection.settlement.domain import Place
from services.collection.settlement.handlers import SettlementFacts, compare_command, overdue_command
from services.collection.settlement.queries import confirmed_days
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.events import DayBegun

DAYS_BACK = 14
"""How long cash that was recorded late is still looked for."""

Cash = Mapping[tuple[str, str, dt.date], Mapping[str, tuple[int, int]]]
"""(campaign, agent, date) -> insurance -> (lines, fen)."""

CashDays = Callable[[Connection, dt.date, dt.date], Awaitable[Cash]]
"""Cash taken from a day up to and including another."""


def _told(recorded: Recorded[Any]) -> Metadata:
    return Metadata(
        recorded.metadata.correlation, recorded.event_id, organisation=recorded.metadata.organisation
    )


class DaysCompared:
    """Summary, deposit or correction -> compare_settlement. Runs behind the read model of takings.

    A correction settles what may have been overdue since, which is noted with it: nobody looks at a settled day
    again (``OverdueNoted``).
    """

    name = "settlement-compare"
    handles: tuple[type[msgspec.Struct], ...] = (
        s.AgentDailySummarySubmitted,
        s.DailySettlementDeposited,
        s.SettlementCorrected,
    )

    def __init__(self, facts: SettlementFacts) -> None:
        self._facts = facts

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        event = recorded.event
        source = event.agent_id if isinstance(event, s.AgentDailySummarySubmitted) else event.source
        place = Place(event.campaign, event.village, source, event.date)
        key = derived_key(recorded, "compare_settlement")
        if isinstance(event, s.SettlementCorrected):
            return [overdue_command(place, recorded.occurred_at.date(), self._facts, _told(recorded), key)]
        return [compare_command(place, self._facts, _told(recorded), key)]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.village)


class OverdueNoted:
    """DayBegun -> note_overdue for every agent's day with cash in it that is not settled (I-22).

    Yesterday's are all looked at. An earlier day that was confirmed at what was taken has said all it will say,
    until cash is recorded late, or what was settled is contradicted.
    """

    name = "settlement-overdue"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun,)

    def __init__(self, facts: SettlementFacts, cash_days: CashDays) -> None:
        self._facts = facts
        self._cash_days = cash_days

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        today = recorded.event.day
        first, last = today - dt.timedelta(days=DAYS_BACK), today - dt.timedelta(days=1)
        cash = await self._cash_days(connection, first, last)
        settled = await confirmed_days(connection, first, last)
        days = [day for day, taken in cash.items() if day[2] == last or settled.get(day) != taken]
        pairs = list(dict.fromkeys((agent, campaign) for campaign, agent, _ in days))
        agents = await self._facts.agents.load(connection, pairs)
        return [
            overdue_command(
                Place(campaign, agents[agent, campaign].village, agent, date),
                today,
                self._facts,
                _told(recorded),
                derived_key(recorded, "note_overdue", f"{campaign}/{agent}/{date}"),
            )
            for campaign, agent, date in days
            if (agent, campaign) in agents
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return "calendar"
