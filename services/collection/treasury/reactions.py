"""Our own facts that make vouchers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.obligations.flows import MoneyFlows
from services.collection.settlement.events import DailySettlementConfirmed
from services.collection.treasury import events as t
from services.collection.treasury.domain import CHANNEL, Issue
from services.collection.treasury.handlers import (
    declaration_vouchers,
    issue_command,
    voucher_number,
)
from services.collection.treasury.queries import LineDetails, declared_lines, settled_channel_lines
from shared.eventstore.commands import Command, FactSource
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded, Wait, derived_key
from shared.kernel.division import parse_campaign
from shared.kernel.events import DayBegun
from shared.kernel.insurance import Insurance


def _told(recorded: Recorded[Any]) -> Metadata:
    return Metadata(
        recorded.metadata.correlation, recorded.event_id, organisation=recorded.metadata.organisation
    )


class DeclarationsVouchered:
    """DeclarationVerified -> issue_voucher per insurance."""

    name = "treasury-declarations"
    handles: tuple[type[msgspec.Struct], ...] = (t.DeclarationVerified,)

    def __init__(self, claims: FactSource) -> None:
        self._claims = claims

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        return declaration_vouchers(
            recorded.event,
            self._claims,
            await declared_lines(connection, recorded.event.declaration_no),
            _told(recorded),
            lambda insurance: derived_key(recorded, "issue_voucher", insurance),
        )

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.village)


class ChannelsVouchered:
    """A channel's day was confirmed -> issue_voucher per insurance, over all villages.

    A day later still, what became effective after its settlement (identified, or a death report withdrawn).
    """

    name = "treasury-channels"
    handles: tuple[type[msgspec.Struct], ...] = (DailySettlementConfirmed, DayBegun)

    def __init__(self, details: LineDetails, claims: FactSource, flows: MoneyFlows) -> None:
        self._details = details
        self._claims = claims
        self._flows = flows

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        event = recorded.event
        suffix = ""
        if isinstance(event, DayBegun):
            found = await settled_channel_lines(connection, self._details)
            suffix = f"-{event.day:%Y%m%d}"
        elif event.kind == CHANNEL:
            found = await settled_channel_lines(
                connection,
                self._details,
                campaign=event.campaign,
                source=event.source,
                date=event.date,
                insurance=event.insurance.value,
                batch=event.batch,
            )
            suffix = f"-{event.batch}" if event.batch > 1 else ""
        else:
            return []
        commands: list[Command] = []
        for (campaign, channel, date, insurance), lines in sorted(found.items(), key=lambda item: item[0]):
            if await self._flows.into_fund_accounts(connection, campaign):
                continue
            number = voucher_number(campaign, channel, f"{date:%Y%m%d}", f"{insurance}{suffix}")
            issue = Issue(
                number,
                campaign,
                "",
                Insurance(insurance),
                parse_campaign(campaign)[1],
                CHANNEL,
                f"{channel}/{date}",
                tuple(lines),
            )
            key = derived_key(recorded, "issue_voucher", number)
            ids = [line.line_id for line in lines]
            commands.append(issue_command(issue, self._claims, ids, _told(recorded), key))
        return commands

    def key(self, recorded: Recorded[Any]) -> str:
        event = recorded.event
        return "calendar" if isinstance(event, DayBegun) else f"{event.source}/{event.village}"
