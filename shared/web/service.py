"""What a service hands to a composition: a fixed definition, and a description made from ports.

``services/<name>/app.py`` holds ``SERVICE = ServiceDefinition(…, describe=describe)`` and
``create_app = lambda: production_app(SERVICE)``; the in-memory composition of tests and simulation takes the
same ``SERVICE``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shared.contracts.message import Message
from shared.eventstore.commands import Command, DirectStore, IdempotencyKey, Outcome
from shared.eventstore.database import Database
from shared.eventstore.log import Log
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Projection, Reaction
from shared.eventstore.types import EventTypes
from shared.kernel.clock import Clock, Runtime
from shared.messaging.publication import Publication
from shared.observability.metrics import ServiceMetrics
from shared.observability.tracing import Tracing
from shared.security.principal import Principal
from shared.security.vault import Vault
from shared.web.imports import Imports
from shared.web.settings import ServiceSettings


@dataclass(frozen=True)
class Ports:
    """Everything a service may touch of the outside, given to ``describe``."""

    service: str
    store: DirectStore
    database: Database
    log: Log
    clock: Clock
    runtime: Runtime
    vault: Vault
    types: EventTypes
    settings: ServiceSettings
    metrics: ServiceMetrics
    imports: Imports
    tracing: Tracing | None = None


B = TypeVar("B")


@dataclass(frozen=True)
class HotCommand(Generic[B]):
    """A command that is a JSON body, a scope and an idempotency key: what the front can take by itself.

    body: a msgspec type. command: of the parsed body, the caller, the metadata of the events and the key; None when
    something must be read first. final: whether what the store says of it is the answer. handle: the whole way, which
    begins behind the store's outcome where there is one.
    """

    scope: str
    operation: str
    body: type[B]
    command: Callable[[B, Principal, Metadata, IdempotencyKey], Command | None]
    final: Callable[[Outcome], bool]
    handle: Callable[[B, Principal, Metadata, IdempotencyKey, Outcome | None], Awaitable[Outcome]]


@dataclass(frozen=True)
class ThinRoute:
    """A hot route that bypasses FastAPI: one exact path, the same authentication, problems and metrics.

    endpoint: reads the body itself (``shared.web.requests.parsed``) and checks its scope with
    ``caller(request, scope)``. operation: its OpenAPI operation, written by hand; schemas:
    components it refers to. hot: the same command for the front (``shared.web.front``), which takes ordinary
    requests before any middleware and leaves all others to ``endpoint``; see ``hot_route``.
    """

    method: str
    path: str
    endpoint: Callable[[Request], Awaitable[Response]]
    operation: Mapping[str, Any]
    schemas: Mapping[str, Any] = field(default_factory=dict)
    hot: HotCommand[Any] | None = None


Gauges = Callable[[], Awaitable[None]]
Check = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True)
class ServiceDescription:
    """A service wired to its ports.

    checks: extra conditions of ``/readyz``, each a fault in a few words or None. gauges: called before
    ``/metrics`` is rendered (money gauges). facts: shown by ``/readyz`` (the pack's id and digest).
    """

    routers: Sequence[APIRouter] = ()
    thin: Sequence[ThinRoute] = ()
    projections: Sequence[Projection] = ()
    reactions: Sequence[Reaction] = ()
    publications: Sequence[Publication] = ()
    checks: Sequence[Check] = ()
    gauges: Sequence[Gauges] = ()
    facts: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class ServiceDefinition:
    """A service before anything is opened.

    title: Chinese first, English second. types: ``EventTypes(own events + (DayBegun,), receives)``.
    receives: contract messages taken from topics; empty: all contract messages ``types`` knows. identities:
    those of them taken for their sealed field alone: of them nothing but the private row is kept.
    metadata: SQLAlchemy metadata of its read models. migrations: package holding the Alembic versions of
    those read models, e.g. ``services.collection.migrations``. finds_by_number: it looks people up by their
    number, so its private rows carry a blind index.
    """

    name: str
    title: str
    types: EventTypes
    describe: Callable[[Ports], ServiceDescription]
    receives: Sequence[type[Message]] = ()
    identities: Sequence[type[Message]] = ()
    metadata: Sequence[sa.MetaData] = ()
    migrations: str = ""
    settings: type[ServiceSettings] = ServiceSettings
    finds_by_number: bool = False
