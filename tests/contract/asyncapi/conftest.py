"""Everything a village's campaign publishes, as the relays hand it to a broker."""

from __future__ import annotations

import pytest

from shared.messaging.broker import Record
from shared.messaging.memory import MemoryBroker
from tests.e2e.scene import COLLECTING, DECLARING, Payer, scene


@pytest.fixture
async def published() -> list[tuple[str, Record]]:
    """Topic and record of what two people of one village cause, from registration to booked."""
    async with scene(Payer("a"), Payer("b")) as village:
        await village.roster()
        await village.day(COLLECTING)
        await village.online("a", f"{COLLECTING}T08:30", "W-1")
        await village.online("b", f"{COLLECTING}T19:30", "W-2")
        await village.day_file(COLLECTING)
        await village.into_treasury(DECLARING)
        await village.system.drain()
        broker = village.system.network.broker
        assert isinstance(broker, MemoryBroker)
        return [(partition.topic, record) for partition, some in broker.records.items() for record in some]
