"""Settlement, wired."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence

from services.collection.obligations.filing import OrdersPlaced
from services.collection.settlement.api import router
from services.collection.settlement.dayfile import RecordedLine
from services.collection.settlement.handlers import SettlementFacts, Settlements
from services.collection.settlement.projection import SettlementDays
from services.collection.settlement.publication import SettlementPublication
from services.collection.settlement.queries import overdue_days
from services.collection.settlement.reactions import CashDays, DaysCompared, OverdueNoted
from shared.eventstore.database import Connection
from shared.kernel.insurance import Insurance
from shared.web.capability import Capability
from shared.web.service import Ports

ChannelRows = Callable[[Connection, str, str, dt.date], Awaitable[Sequence[tuple[str, Insurance, int]]]]


def capability(
    ports: Ports,
    facts: SettlementFacts,
    campaigns_of: Callable[[frozenset[int]], Awaitable[Sequence[str]]],
    orders: OrdersPlaced,
    channel_rows: ChannelRows,
    cash_days: CashDays,
) -> Capability:
    """Settlement over the service's ports, payments' takings and the agents."""

    async def channel_lines(
        connection: Connection, campaign: str, channel: str, day: dt.date
    ) -> Sequence[RecordedLine]:
        return [RecordedLine(*row) for row in await channel_rows(connection, campaign, channel, day)]

    settlements = Settlements(ports.store, ports.database, facts, campaigns_of, orders, channel_lines)
    return Capability(
        projections=[SettlementDays()],
        reactions=[DaysCompared(facts), OverdueNoted(facts, cash_days)],
        publications=[SettlementPublication()],
        routers=[router(settlements, ports.database, ports.settings.import_limit_bytes)],
    )


def gauges(ports: Ports) -> Callable[[], Awaitable[None]]:
    """Sets the gauges of overdue cash before ``/metrics`` is rendered."""

    async def overdue() -> None:
        async with ports.database.read() as connection:
            found = await overdue_days(connection)
        for (campaign, insurance), days in found.items():
            ports.metrics.overdue_remittances(campaign, insurance, days)

    return overdue
