"""Our own facts: a settled day's money lies in the fund account; a week is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from services.collection.fund_accounts import events as f
from services.collection.fund_accounts.domain import Arrival
from services.collection.fund_accounts.handlers import FundFacts, arrival_command, statistics_command
from services.collection.fund_accounts.queries import LineDetails
from services.collection.obligations.facts import CampaignFact
from services.collection.obligations.flows import MoneyFlows
from services.collection.obligations.following import follow
from services.collection.parts import in_parts
from services.collection.settlement.events import SettlementLinesConfirmed
from shared.eventstore.commands import Command
from shared.eventstore.database import Connection
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.division import parse_campaign
from shared.kernel.events import DayBegun

WEEK = 7

OpenCampaigns = Callable[[Connection], Awaitable[Sequence[str]]]


class ArrivalsRecorded:
    """SettlementLinesConfirmed, in a campaign that pays into fund accounts -> record_arrival."""

    name = "fund-accounts-arrivals"
    handles: tuple[type[msgspec.Struct], ...] = (SettlementLinesConfirmed,)

    def __init__(self, flows: MoneyFlows, facts: FundFacts, details: LineDetails) -> None:
        self._flows = flows
        self._facts = facts
        self._details = details

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        event: SettlementLinesConfirmed = recorded.event
        if not await self._flows.into_fund_accounts(connection, event.campaign):
            return []
        details = await self._details(connection, event.lines)
        lines = [
            f.FundLine(
                row.line_id, row.person_id, row.village, "person", row.fen, row.standing == "EFFECTIVE"
            )
            for row in (details[line_id] for line_id in event.lines if line_id in details)
        ]
        number = f"FD-{event.campaign}-{event.source}-{event.date:%Y%m%d}-{event.insurance.value}"
        number += f"-{event.batch}.{event.part}"
        commands = []
        for ordinal, part in enumerate(in_parts(lines), 1):
            arrival = Arrival(
                number if ordinal == 1 else f"{number}.{ordinal}",
                event.campaign,
                event.village,
                event.source,
                event.kind,
                event.insurance,
                parse_campaign(event.campaign)[1],
                event.date,
                part,
            )
            key = derived_key(recorded, "record_arrival", arrival.deposit_no)
            commands.append(
                arrival_command(arrival, self._facts, follow(recorded, self.name, event.campaign), key)
            )
        return commands

    def key(self, recorded: Recorded[Any]) -> str:
        return f"{recorded.event.source}/{recorded.event.village}"


class WeeksCompiled:
    """DayBegun -> compile_statistics, every seventh day of a campaign whose plan asks for it each week."""

    name = "fund-accounts-weeks"
    handles: tuple[type[msgspec.Struct], ...] = (DayBegun,)

    def __init__(self, facts: FundFacts, open_campaigns: OpenCampaigns) -> None:
        self._facts = facts
        self._open_campaigns = open_campaigns

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        day = recorded.event.day
        campaigns = await self._open_campaigns(connection)
        facts = await self._facts.campaigns.load(connection, campaigns) if campaigns else {}
        return [
            statistics_command(
                campaign,
                day,
                self._facts,
                follow(recorded, self.name, campaign),
                derived_key(recorded, "compile_statistics", campaign),
            )
            for campaign in campaigns
            if _due(facts.get(campaign), day)
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return "calendar"


def _due(campaign: CampaignFact | None, day: Any) -> bool:
    """The plan counts weekly, from the first day of its collection phase on."""
    if campaign is None or campaign.pack is None or not campaign.pack.pays_into_fund_accounts:
        return False
    weekly = any(
        deadline.code == "STATISTICS" and deadline.every == "WEEKLY"
        for deadline in campaign.pack.document.deadlines
    )
    passed = (day - campaign.pack.collection.start).days
    return weekly and passed > 0 and passed % WEEK == 0
