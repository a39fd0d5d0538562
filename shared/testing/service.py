"""A whole service in one process: memory store, ASGI app, tokens, stepped by hand. For tests and simulation.

``async with memory_service(SERVICE) as service:`` then ``service.client(scopes=…)`` posts through the same
middleware as in production, and ``await service.settle()`` lets projections, reactions and imports catch up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import httpx
import msgspec
from fastapi import FastAPI

from shared.eventstore.dead_letters import REACTION, DeadLetters
from shared.eventstore.projections import ProjectionRunner, checkpoint_name
from shared.eventstore.reactions import ReactionRunner
from shared.kernel.clock import Runtime
from shared.messaging.address import LogIdentity
from shared.messaging.publication import Publications
from shared.observability.metrics import ServiceMetrics
from shared.observability.tracing import Tracing
from shared.security.issuer import Client, Issuer
from shared.security.principal import Principal
from shared.security.tokens import OwnKeys, TokenVerifier
from shared.security.vault import Vault
from shared.testing.keys import memory_keyring
from shared.testing.store import MemoryParts, Steps, memory_store, settle
from shared.testing.wire import WireTransport
from shared.web import tables
from shared.web.app import build_app
from shared.web.imports import Imports
from shared.web.machinery import Machinery, readers_of
from shared.web.service import Ports, ServiceDefinition, ServiceDescription
from shared.web.settings import ServiceSettings

LONG_SECONDS = 10 * 365 * 24 * 3600
"""Lifetime of a test token: simulated time may run for years."""


@dataclass
class MemoryService:
    """What ``memory_service`` made. ``async with`` starts and stops the writer."""

    definition: ServiceDefinition
    parts: MemoryParts
    ports: Ports
    description: ServiceDescription
    machinery: Machinery
    issuer: Issuer
    app: FastAPI
    projections: ProjectionRunner
    reactions: Sequence[ReactionRunner]

    @property
    def name(self) -> str:
        """Of the service."""
        return self.definition.name

    def steps(self) -> list[Steps]:
        """Runners in the order a composition steps them; relay and consumer are added by others."""
        return [self.ports.imports, self.projections, *self.reactions]

    async def settle(self) -> int:
        """Step until nothing moves. Raises AssertionError when a projection failed."""
        moved = await settle(self.steps())
        if self.projections.failures:
            raise AssertionError(f"projections failed: {self.projections.failures}")
        return moved

    def token(
        self,
        scopes: Iterable[str] = (),
        divisions: Iterable[str] = ("",),
        organisation: str = "test-organisation",
        client_id: str = "test-client",
    ) -> str:
        """A long-lived bearer token."""
        principal = Principal(organisation, client_id, frozenset(scopes), tuple(divisions))
        return self.issuer.sign(principal, LONG_SECONDS)

    def client(
        self,
        scopes: Iterable[str] = (),
        divisions: Iterable[str] = ("",),
        organisation: str = "test-organisation",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.AsyncClient:
        """An HTTP client with a token; exceptions of the app surface as 500 problems, as in production."""
        token = self.token(scopes, divisions, organisation)
        return self.anonymous({"Authorization": f"Bearer {token}", **(headers or {})})

    def anonymous(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """An HTTP client without a token."""
        return httpx.AsyncClient(
            transport=WireTransport(self.app), base_url=f"http://{self.name}", headers=dict(headers or {})
        )

    async def begin_day(self, day: dt.date) -> None:
        """BeginDay through its route, then settle."""
        async with self.client([f"{self.name}:ops"]) as client:
            response = await client.post("/ops/begin-day", json={"date": day.isoformat()})
        if response.status_code != 200:
            raise AssertionError(f"begin-day answered {response.status_code}: {response.text}")
        await self.settle()

    async def __aenter__(self) -> Self:
        await self.parts.__aenter__()
        await self.app.state.calendar.restore()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.parts.__aexit__(*error)


def memory_service(
    definition: ServiceDefinition,
    *,
    seed: int = 1,
    today: dt.date = dt.date(2016, 1, 1),
    settings: ServiceSettings | None = None,
    clients: Sequence[Client] = (),
    parts: MemoryParts | None = None,
    tracing: Callable[[str, Runtime], Tracing] | None = None,
) -> MemoryService:
    """Assemble a service in memory. ``parts``: a store of a simulation's own making. ``tracing``: makes what a
    service of a name and a runtime traces with."""
    if parts is None:
        parts = memory_store(definition.types, [*definition.metadata, tables.metadata], seed, today)
    keyring = memory_keyring()
    vault = Vault(keyring, definition.name, parts.runtime, finds_by_number=definition.finds_by_number)
    ports = _ports(definition, parts, settings, vault)
    if tracing is not None:
        ports = replace(ports, tracing=tracing(definition.name, parts.runtime))
    description = definition.describe(ports)
    projections = parts.projections(description.projections)
    follows = projections if description.projections else None
    reactions = [parts.reaction(reaction, follows) for reaction in description.reactions]
    letters = DeadLetters(parts.database, parts.clock)
    for runner in reactions:
        letters.register(REACTION, runner.name, runner)
    machinery = Machinery(
        definition.name,
        parts.log,
        parts.database,
        projections,
        letters,
        Publications(LogIdentity(definition.name), description.publications, ports.vault),
        readers=readers_of(description, ports.types),
    )
    for projection in description.projections:
        machinery.positions[checkpoint_name(projection)] = partial(projections.position_of, projection)
    for runner in reactions:
        machinery.positions[f"reaction:{runner.name}"] = runner.position
    issuer = Issuer.of(keyring, clients, parts.runtime)
    verifier = TokenVerifier(OwnKeys(issuer.public_keys()), parts.runtime)
    app = build_app(definition, ports, description, machinery, verifier, issuer=issuer)
    return MemoryService(
        definition, parts, ports, description, machinery, issuer, app, projections, reactions
    )


def _ports(
    definition: ServiceDefinition, parts: MemoryParts, settings: ServiceSettings | None, vault: Vault
) -> Ports:
    imports = Imports(
        store=parts.store,
        database=parts.database,
        vault=vault,
        clock=parts.clock,
        runtime=parts.runtime,
        failure=parts.log.failure,
    )
    return Ports(
        service=definition.name,
        store=parts.store,
        database=parts.database,
        log=parts.log,
        clock=parts.clock,
        runtime=parts.runtime,
        vault=vault,
        types=definition.types,
        settings=settings or definition.settings(rehearsal=True),
        metrics=ServiceMetrics(definition.name),
        imports=imports,
    )


def decoded(response: httpx.Response) -> Any:
    """A response's JSON."""
    return msgspec.json.decode(response.content)
