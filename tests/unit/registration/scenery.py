"""A registration service in memory, people to register, and messages of other services."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import httpx

from services.registration.app import SERVICE
from shared.contracts.collection import CampaignOpenedV1
from shared.contracts.message import Message
from shared.eventstore.commands import BlindAppend, Page
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import SHANGHAI
from shared.kernel.identity import check_character
from shared.policy import load_pack
from shared.testing.service import MemoryService, memory_service

VILLAGE = "370406101201"
TODAY = dt.date(2019, 10, 15)
SCOPES = tuple(
    f"registration:{name}"
    for name in (
        "people:read",
        "people:write",
        "identity:read",
        "enrolment:read",
        "enrolment:write",
        "vital:read",
        "vital:write",
        "special_assessment:read",
        "special_assessment:write",
        "accounts:read",
        "entitlements:read",
        "tasks:read",
        "tasks:write",
        "imports:read",
        "ops",
    )
)


def number_of(birth: dt.date, serial: int = 1, place: str = "370406") -> str:
    """A well-formed synthetic identity number; odd serials are male."""
    first = f"{place}{birth:%Y%m%d}{serial:03d}"
    return first + check_character(first)


def memory(today: dt.date = TODAY, seed: int = 1) -> MemoryService:
    """The service in memory, its clock at the start of ``today``."""
    return memory_service(SERVICE, today=today, seed=seed)


class Desk:
    """A clerk's client: posts with fresh idempotency keys."""

    def __init__(self, service: MemoryService, client: httpx.AsyncClient) -> None:
        self.service = service
        self.client = client
        self._keys = 0

    async def post(self, path: str, body: dict[str, Any] | None = None, key: str = "") -> httpx.Response:
        """POST with ``key`` or the next fresh one."""
        self._keys += 1
        headers = {"Idempotency-Key": key or f"key-{self._keys}"}
        return await self.client.post(path, json=body or {}, headers=headers)

    async def get(self, path: str, **parameters: Any) -> Any:
        """GET after everything has settled; the JSON of a 200."""
        await self.service.settle()
        response = await self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def imported(self, path: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """Upload rows as NDJSON and let them be worked off; what became of each."""
        self._keys += 1
        headers = {"Idempotency-Key": f"file-{self._keys}", "Content-Type": "application/x-ndjson"}
        body = "\n".join(json.dumps(row) for row in rows)
        answer = await self.client.post(path, content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        found = await self.get(f"/imports/{answer.json()['import_id']}/outcomes")
        return list(found["items"])

    async def person(self, birth: dt.date = dt.date(1980, 5, 1), serial: int = 2, **more: Any) -> str:
        """Register somebody; answers the person id."""
        body = {
            "name": "示例",
            "number": number_of(birth, serial),
            "division": VILLAGE,
            "hukou_division": VILLAGE,
            **more,
        }
        response = await self.post("/people", body)
        assert response.status_code == 201, response.text
        return str(response.json()["person_id"])

    async def enrolled(self, person_id: str, insurance: str = "medical", year: int = 2020) -> None:
        """Enrol and let it be transmitted."""
        response = await self.post(
            "/enrolments", {"person_id": person_id, "insurance": insurance, "year": year}
        )
        assert response.status_code == 201, response.text
        assert response.json()["status"] == "REGISTERED", response.text
        await self.service.settle()


async def receive(service: MemoryService, *messages: Message, at: dt.datetime | None = None) -> None:
    """Append messages as a consumer would, and settle."""
    moment = at or service.parts.clock.now()
    blind = [
        BlindAppend(
            f"received:{message.topic.service}:{message.topic.name}:{message.key()}",
            *_encoded(service, message),
            Metadata("correlation-of-elsewhere", service.parts.runtime.new_id()),
            moment,
        )
        for message in messages
    ]
    await service.parts.store.execute_page(Page((), None, blind))
    await service.settle()


def _encoded(service: MemoryService, message: Message) -> tuple[str, bytes]:
    name, _, data = service.parts.types.encode(message)
    return name, data


async def events_of(service: MemoryService, *kinds: type[Any]) -> list[Any]:
    """Events of the given kinds, in log order."""
    return [row.event for row in await recorded_of(service, *kinds)]


async def recorded_of(service: MemoryService, *kinds: type[Any]) -> list[Recorded[Any]]:
    """Rows of the given kinds, in log order."""
    return await service.parts.log.read(0, 10_000, service.parts.types.names(kinds))


def published(service: MemoryService, recorded: Recorded[Any]) -> list[Message]:
    """What the service's publications make of a recorded event."""
    return [
        message
        for publication in service.description.publications
        if isinstance(recorded.event, publication.handles)
        for message in publication.publish(recorded)
    ]


def noon(day: dt.date) -> dt.datetime:
    """12:00 in Shanghai."""
    return dt.datetime.combine(day, dt.time(12), SHANGHAI)


def campaign_opened(pack_id: str = "ST-2020", **changes: Any) -> CampaignOpenedV1:
    """Collection opened the campaign of a shipped pack."""
    pack = load_pack(pack_id)
    window = pack.window("medical")
    values: dict[str, Any] = {
        "campaign": f"{pack.region.division}-{pack.insured_year}",
        "division": pack.region.division,
        "year": pack.insured_year,
        "pack_id": pack.id,
        "pack_version": pack.version,
        "pack_digest": pack.digest,
        "window_from": window.start,
        "window_to": window.end,
        **changes,
    }
    return CampaignOpenedV1(**values)
