"""Our own facts that make vouchers and return legs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.collection.settlement.events import DailySettlementConfirmed
from services.collection.treasury import events as t
from services.collection.treasury.domain import CHANNEL, Issue
from services.collection.treasury.handlers import (
    declaration_vouchers,
    issue_command,
    return_leg_command,
    voucher_number,
)
from services.collection.treasury.queries import LineDetails, settled_channel_lines
from shared.eventstore.commands import Command
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

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        return declaration_vouchers(
            recorded.event,
            _told(recorded),
            lambda insurance: derived_key(recorded, "issue_voucher", insurance),
        )

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.village)


class ChannelsVouchered:
    """A channel's day was confirmed -> issue_voucher per village and insurance.

    A day later still, what became effective after its settlement (identified, or a death report withdrawn).
    """

    name = "treasury-channels"
    handles: tuple[type[msgspec.Struct], ...] = (DailySettlementConfirmed, DayBegun)

    def __init__(self, details: LineDetails) -> None:
        self._details = details

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
                village=event.village,
                date=event.date,
                insurance=event.insurance.value,
                batch=event.batch,
            )
            suffix = f"-{event.batch}" if event.batch > 1 else ""
        else:
            return []
        commands: list[Command] = []
        for (campaign, channel, date, village, insurance), lines in sorted(found.items()):
            number = voucher_number(campaign, channel, f"{date:%Y%m%d}", village, f"{insurance}{suffix}")
            issue = Issue(
                number,
                campaign,
                village,
                Insurance(insurance),
                parse_campaign(campaign)[1],
                CHANNEL,
                f"{channel}/{date}",
                lines,
            )
            key = derived_key(recorded, "issue_voucher", number)
            commands.append(issue_command(issue, _told(recorded), key))
        return commands

    def key(self, recorded: Recorded[Any]) -> str:
        event = recorded.event
        return "calendar" if isinstance(event, DayBegun) else f"{event.source}/{event.village}"


class LegsReturned:
    """CollectionInfoReturned -> return_leg on each obligation of the part."""

    name = "treasury-returns"
    handles: tuple[type[msgspec.Struct], ...] = (t.CollectionInfoReturned,)

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        event = recorded.event
        told = _told(recorded)
        return [
            return_leg_command(
                event, line, told, derived_key(recorded, "return_leg", f"{line.person_id}/{line.payer}")
            )
            for line in event.lines
        ]

    def key(self, recorded: Recorded[Any]) -> str:
        return str(recorded.event.voucher_no)
