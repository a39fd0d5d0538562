"""Several whole services in one process over a broker in memory, behind their real routes.

``async with await memory_network([REGISTRATION, COLLECTION, …]) as network:`` then ``network["collection"]``
is a ``MemoryService``; ``await network.settle()`` lets relays, consumers and readers come to rest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from shared.contracts.topics import TOPICS
from shared.kernel.clock import SeededRuntime
from shared.messaging.broker import Broker
from shared.messaging.memory import MemoryBroker
from shared.messaging.relay import CURSOR
from shared.messaging.relay_letters import RelayReplayer
from shared.security.issuer import Client
from shared.testing.messaging import Connected, Member, join
from shared.testing.service import MemoryService, memory_service
from shared.testing.store import Steps, settle
from shared.web.machinery import GroupLag, Reader, received_messages
from shared.web.service import ServiceDefinition


@dataclass
class MemoryNetwork:
    """Several services over one broker in memory, behind their real routes; see ``memory_network``."""

    services: Mapping[str, MemoryService]
    connected: Mapping[str, Connected]
    broker: Broker

    def __getitem__(self, name: str) -> MemoryService:
        return self.services[name]

    def steps(self) -> list[Steps]:
        """Everything that can move, services in the order given."""
        return [
            step
            for name, service in self.services.items()
            for step in (*self.connected[name].steps, *service.steps())
        ]

    async def settle(self, *, letters: bool = False) -> int:
        """Step until nothing moves. Raises AssertionError for a failed projection and, unless ``letters``,
        for an open dead letter."""
        moved = await settle(self.steps())
        for name, service in self.services.items():
            if service.projections.failures:
                raise AssertionError(f"{name}: projections failed: {service.projections.failures}")
            found = [(one.kind, one.name, one.code) for one in await service.machinery.letters.list()]
            if found and not letters:
                raise AssertionError(f"{name} has dead letters: {found}")
        return moved

    async def begin_day(self, day: dt.date) -> None:
        """BeginDay in every service, then settle: the rehearsal's order."""
        for service in self.services.values():
            async with service.client([f"{service.name}:ops"]) as client:
                response = await client.post("/ops/begin-day", json={"date": day.isoformat()})
            if response.status_code != 200:
                raise AssertionError(f"begin-day answered {response.status_code}: {response.text}")
        await self.settle()

    async def __aenter__(self) -> Self:
        for service in self.services.values():
            await service.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for service in self.services.values():
            await service.__aexit__(*error)


async def memory_network(
    definitions: Sequence[ServiceDefinition],
    *,
    seed: int = 1,
    today: dt.date = dt.date(2016, 1, 1),
    broker: Broker | None = None,
    clients: Sequence[Client] = (),
) -> MemoryNetwork:
    """Assemble services and connect them. ``broker``: a fault-injecting one, say."""
    broker = broker or MemoryBroker(SeededRuntime(seed))
    await broker.start()
    await broker.create_topics(TOPICS)
    services = {
        one.name: memory_service(one, seed=seed + number, today=today, clients=clients)
        for number, one in enumerate(definitions)
    }
    return MemoryNetwork(services, {name: _joined(one, broker) for name, one in services.items()}, broker)


def _joined(service: MemoryService, broker: Broker) -> Connected:
    """Relay and consumer of a service; projections and reactions stay with the service itself."""
    messages = received_messages(service.definition)
    vault = service.ports.vault
    connected = join(
        Member(
            service.name,
            service.parts,
            publications=service.description.publications,
            handles=messages,
            sealed_only=service.definition.identities,
            sealer=vault,
            unsealer=vault,
        ),
        broker,
    )
    machinery, names = service.machinery, service.ports.types.names
    machinery.readers = [*machinery.readers, Reader(CURSOR, names(machinery.publications.handles))]
    topics = sorted({message.topic.name for message in messages})
    machinery.consumption = GroupLag(broker, service.parts.database, service.name, topics)
    own = [topic.name for topic in TOPICS if topic.service == service.name]
    RelayReplayer(service.parts.log, broker, machinery.publications, service.parts.clock).register(
        machinery.letters, own
    )
    if connected.consumer is not None:
        connected.consumer.replayer.register(machinery.letters)
    return connected
