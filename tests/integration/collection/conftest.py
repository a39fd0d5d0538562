"""A collection service in memory, and the outside world that talks to it."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from services.collection.app import SERVICE
from shared.contracts.message import Message
from shared.contracts.registration import RegistrationInfoTransmittedV1
from shared.eventstore.commands import BlindAppend, Page
from shared.eventstore.streams import Metadata
from shared.kernel.clock import SHANGHAI
from shared.kernel.insurance import Insurance
from shared.testing.service import MemoryService, memory_service

CAMPAIGN = "370406-2020"
VILLAGE = "370406101201"
ROSTER = f"{CAMPAIGN}.{VILLAGE}"
OPENED = dt.date(2019, 10, 26)

SCOPES = [
    f"collection:{capability}:{mode}"
    for capability in (
        "campaigns",
        "taxpayers",
        "virtual_households",
        "assessment",
        "roster",
        "payments",
        "settlement",
        "treasury",
        "refunds",
        "reconciliation",
        "money",
    )
    for mode in ("read", "write")
] + ["collection:ops", "collection:imports:read", "collection:events:read"]


class World:
    """Posts to the service as an organisation, and lets messages of other services arrive."""

    def __init__(self, service: MemoryService) -> None:
        self.service = service
        self._keys = itertools.count(1)

    async def post(
        self, path: str, body: Any, expect: int = 200, organisation: str = "tax", key: str | None = None
    ) -> Any:
        """POST with a fresh Idempotency-Key, settle, answer the JSON."""
        headers = {"Idempotency-Key": key or f"key-{next(self._keys)}"}
        async with self.service.client(SCOPES, organisation=organisation) as client:
            response = await client.post(path, json=body, headers=headers)
        assert response.status_code == expect, f"{path} answered {response.status_code}: {response.text}"
        await self.service.settle()
        return response.json()

    async def get(self, path: str, expect: int = 200, **params: Any) -> Any:
        """GET's JSON."""
        response = await self.fetch(path, **params)
        assert response.status_code == expect, f"{path} answered {response.status_code}: {response.text}"
        return response.json()

    async def fetch(self, path: str, **params: Any) -> httpx.Response:
        """GET's whole answer."""
        async with self.service.client(SCOPES) as client:
            return await client.get(path, params=params)

    async def receive(self, *messages: Message) -> None:
        """Messages of other services arrive, in order, and are worked off."""
        blind = [
            BlindAppend(
                stream_id=f"received:{message.topic.name}:{message.key()}",
                type=message.type_name(),
                data=msgspec.json.encode(message),
                metadata=Metadata(correlation="outside", campaign=CAMPAIGN),
                occurred_at=self.service.parts.clock.now(),
            )
            for message in messages
        ]
        await self.service.parts.store.execute_page(Page(commands=(), blind=blind))
        await self.service.settle()

    async def messages(self) -> list[Message]:
        """Everything the service has published, in order."""
        page = await self.service.parts.log.read(0, 1_000_000)
        publications = self.service.machinery.publications
        return [message for recorded in page for message in publications.messages(recorded)]


def registration(
    person_id: str,
    insurance: Insurance,
    *,
    birth: dt.date = dt.date(1975, 5, 1),
    version: int = 1,
    status: str = "ACTIVE",
    village: str = VILLAGE,
    **more: Any,
) -> RegistrationInfoTransmittedV1:
    """What registration transmits of an enrolment for 2020."""
    fields: dict[str, Any] = {
        "hukou_division": village,
        "route": "HUKOU",
        "period_from": dt.date(2020, 1, 1),
        "period_to": dt.date(2020, 12, 31),
        "sex": "F",
        **more,
    }
    return RegistrationInfoTransmittedV1(
        person_id=person_id,
        record_no=f"{insurance.value}-2020-{person_id}",
        record_version=version,
        insurance=insurance,
        year=2020,
        status=status,
        birth=birth,
        division=village,
        **fields,
    )


def at(day: dt.date, hour: int = 9) -> str:
    """A moment of a day as JSON."""
    return dt.datetime.combine(day, dt.time(hour), SHANGHAI).isoformat()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The service before any campaign, on a day of the collection phase."""
    async with memory_service(SERVICE, today=OPENED) as service:
        yield World(service)


@pytest.fixture
async def opened(world: World) -> World:
    """Campaign 370406-2020 open with pack ST-2020."""
    await world.post("/packs", {"pack_id": "ST-2020", "maker": "tax-01"}, 201)
    await world.post("/packs/ST-2020:publish", {"campaign": CAMPAIGN, "approver": "tax-02"})
    await world.post("/campaigns", {"campaign": CAMPAIGN, "pack_id": "ST-2020"}, 201)
    return world
