"""The four services and the outside world in one process: one broker, one seed, no sockets."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from deploy.rehearsal.books import Books
from deploy.rehearsal.clients import SERVICES, Services, secrets_of
from deploy.rehearsal.driver import Driver, Outside
from deploy.rehearsal.files import Files
from deploy.rehearsal.journal import Journal
from deploy.rehearsal.outside import World
from deploy.rehearsal.plan import Plan
from deploy.rehearsal.world import create_world
from services.collection.app import SERVICE as COLLECTION
from services.notification.app import SERVICE as NOTIFICATION
from services.registration.app import SERVICE as REGISTRATION
from services.subsidy.app import SERVICE as SUBSIDY
from shared.kernel.clock import Runtime
from shared.observability.tracing import Tracing
from shared.security.issuer import load_clients
from shared.testing.messaging import Member, Network, connect
from shared.testing.service import MemoryService, memory_service
from shared.testing.store import Steps, settle
from shared.testing.wire import WireTransport
from shared.web.machinery import received_messages

ORGANISATIONS = Path(__file__).parents[2] / "deploy" / "local" / "organisations.yaml"
BEFORE = dt.date(2019, 9, 30)


class Silent:
    """A watcher that shows nothing."""

    def day(self, day: dt.date, number: int, of: int) -> None:
        """A day began."""

    def step(self, name: str) -> None:
        """A step began."""

    def progress(self, done: int, of: int) -> None:
        """How far the step is."""

    def payments(self, done: int) -> None:
        """Orders placed."""


@dataclass
class System:
    """Services by name, their network, the world's books, and clients that speak to them."""

    services: dict[str, MemoryService]
    network: Network
    books: Books
    clients: Services
    outside: Outside

    @property
    def steps(self) -> list[Steps]:
        """Everything that can move."""
        return [*(service.ports.imports for service in self.services.values()), *self.network.steps]

    async def drain(self) -> None:
        """Step until nothing moves; a failed projection or an open dead letter fails the test."""
        await settle(self.steps)
        await self.network.settle_all()

    async def log_of(self, service: str) -> list[tuple[str, int, str, str, bytes]]:
        """Every row of a service's log: service, position, stream, type, data."""
        log = self.services[service].parts.log
        page = await log.read_page(0, 1_000_000, None, await log.head())
        return [
            (service, row.position, row.stream, type(row.event).__name__, msgspec.json.encode(row.event))
            for row in page.events
        ]

    def driver(self, plan: Plan, journal: Journal | None = None) -> Driver:
        """A driver whose orders are placed one after the other: one history per seed."""
        return Driver(
            plan, self.clients, self.outside, journal or Journal(None), Files(self.clients, self.pause),
            self.drain, Silent(), concurrency=1,
        )  # fmt: skip

    async def pause(self, _: int) -> None:
        """Whoever waits for a file lets everything move."""
        await self.drain()


@asynccontextmanager
async def composed(
    seed: int = 1,
    today: dt.date = BEFORE,
    packs: Path | None = None,
    tracing: Callable[[str, Runtime], Tracing] | None = None,
) -> AsyncIterator[System]:
    """The whole system in memory. packs: folder of further packs, as ``LIANGXIAN_PACKS`` names it. tracing: as
    ``memory_service`` takes it."""
    clients = load_clients(ORGANISATIONS)
    async with AsyncExitStack() as opened:
        services = {}
        for number, definition in enumerate((REGISTRATION, COLLECTION, SUBSIDY, NOTIFICATION)):
            settings = definition.settings(rehearsal=True, packs=packs)
            service = memory_service(
                definition,
                seed=seed * 10 + number,
                today=today,
                clients=clients,
                settings=settings,
                tracing=tracing,
            )
            services[definition.name] = await opened.enter_async_context(service)
        network = await connect([_member(services[name]) for name in SERVICES], seed=seed)
        books = Books.connect(None)
        opened.callback(books.close)
        mounts: dict[str, httpx.AsyncBaseTransport] = {
            f"http://{name}": WireTransport(service.app) for name, service in services.items()
        }
        addresses = {name: f"http://{name}" for name in SERVICES}
        http = httpx.AsyncClient(mounts=mounts)
        opened.push_async_callback(http.aclose)
        speaking = Services(addresses, secrets_of(ORGANISATIONS), http, patience_seconds=2.0)
        world = World(books, speaking, pause=lambda looks: system.pause(looks))
        door = httpx.AsyncClient(transport=httpx.ASGITransport(create_world(world)))
        opened.push_async_callback(door.aclose)
        outside = Outside("http://world", door, patience_seconds=2.0)
        system = System(services, network, books, speaking, outside)
        yield system


def _member(service: MemoryService) -> Member:
    description = service.description
    return Member(
        service.name,
        service.parts,
        publications=description.publications,
        handles=received_messages(service.definition),
        projections=description.projections,
        reactions=description.reactions,
        sealer=service.ports.vault,
        unsealer=service.ports.vault,
        tracing=service.ports.tracing,
    )
