"""What runs behind a service's routes, as the operations routes see it (运行状况).

Both compositions fill it: tests and simulation with in-memory parts, production with PostgreSQL and a broker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.eventstore import tables
from shared.eventstore.database import Database
from shared.eventstore.dead_letters import DeadLetters
from shared.eventstore.log import Log
from shared.eventstore.projections import checkpoint_name
from shared.eventstore.types import EventTypes, UnknownTypeError
from shared.kernel.clock import Runtime
from shared.messaging.address import LogIdentity
from shared.messaging.broker import Broker, Partition
from shared.messaging.catalogue import contract_types
from shared.messaging.publication import Publications
from shared.observability.metrics import ServiceMetrics
from shared.security.tokens import KeySource
from shared.web.service import ServiceDefinition, ServiceDescription
from shared.web.tables import IMPORTS

DATABASE_AWAY = "database: does not answer"

LOOK_AHEAD = 1000
LOOK_AHEAD_PAGES = 50
REST_SECONDS = (0.004, 0.05)
"""How often a caller that waits for rest is looked after: first, and when it takes long."""


class TopicLag(msgspec.Struct, frozen=True):
    """Messages of a topic this service has not applied yet."""

    topic: str
    messages: int


class LagReport(msgspec.Struct, frozen=True):
    """The body of ``GET /ops/lag``.

    readers: checkpoint per projection, reaction and relay (``projection:…``, ``reaction:…``, ``relay``).
    drained: everything in the log was read by all of them, no topic has unread messages, no message is
    parked for lack of another, and no import runs: a rehearsal may begin the next day.
    taken: records ever published to the topics it takes from, as it knew them before it looked at itself;
    published: the same of its own topics, asked for after that. Services that are drained and agree on every
    topic are at rest together: whatever one of them sent before its report, the others have applied in theirs.
    """

    service: str
    log_position: int
    relay_position: int
    readers: dict[str, int]
    topics: list[TopicLag]
    dead_letters: int
    parked: int
    imports_running: int
    drained: bool
    taken: dict[str, int] = {}
    published: dict[str, int] = {}


class Traffic(msgspec.Struct, frozen=True):
    """What a service has to take: messages it has not applied, and records ever published, per topic."""

    unread: Mapping[str, int] = {}
    ends: Mapping[str, int] = {}


NO_ANSWER = Traffic({"": 1})
"""The broker is away: nobody can tell."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of the log as its checkpoint and the stored types it handles (None: all).

    Readers move their checkpoint lazily over types that are not theirs.
    """

    checkpoint: str
    types: frozenset[str] | None = None


class ReadModels(Protocol):
    """The runner of the projections."""

    async def caught_up(self, position: int, timeout: float = 2.0) -> bool:  # noqa: ASYNC109
        """True as soon as every projection has seen the position."""
        ...


class Consumption(Protocol):
    """The consumer side, asked for what it has not applied; and whether the broker answers."""

    async def traffic(self) -> Traffic:
        """What lies between our offsets and the ends. Raises when the broker is away."""
        ...

    async def published(self) -> Mapping[str, int]:
        """Records in our own topics. Raises when the broker is away."""
        ...


@dataclass(frozen=True, slots=True)
class GroupLag:
    """Consumption of a consumer group, from the broker's ends and our offsets: any process can tell."""

    broker: Broker
    database: Database
    group: str
    topics: Sequence[str]

    async def traffic(self) -> Traffic:
        """See Consumption. A partition never read counts from the first offset kept."""
        bounds = await self.broker.bounds(self.topics)
        async with self.database.read() as connection:
            rows = await connection.execute(
                sa.select(tables.offsets).where(tables.offsets.c.grp == self.group)
            )
        offsets = {(row.topic, row.part): int(row.next_offset) for row in rows}
        unread = dict.fromkeys(self.topics, 0)
        for partition, (first, end) in bounds.items():
            behind = end - max(first, offsets.get((partition.topic, partition.part), first))
            unread[partition.topic] = unread.get(partition.topic, 0) + max(0, behind)
        return Traffic(unread, ends_of(bounds))

    async def published(self) -> Mapping[str, int]:
        """See Consumption."""
        own = [topic.name for topic in TOPICS if topic.service == self.group]
        return ends_of(await self.broker.bounds(own)) if own else {}


def ends_of(bounds: Mapping[Partition, tuple[int, int]]) -> dict[str, int]:
    """Records ever published per topic: the sum of its partitions' ends."""
    ends: dict[str, int] = {}
    for partition, (_, end) in bounds.items():
        ends[partition.topic] = ends.get(partition.topic, 0) + end
    return ends


_COUNTED = ("#open_letters", "#parked", "#imports")


def _count(name: str, table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[str, int]:
    return sa.select(sa.literal(name), sa.func.count()).select_from(table).where(*where)


_STANDING: sa.CompoundSelect[Any] = sa.union_all(
    sa.select(tables.checkpoints.c.name, tables.checkpoints.c.position),
    _count(_COUNTED[0], tables.dead_letters, tables.dead_letters.c.state == "open"),
    _count(_COUNTED[1], tables.parked),
    _count(_COUNTED[2], IMPORTS, IMPORTS.c.state == "RUNNING"),
)
"""Where every reader stands, and how many open letters, parked events and running imports there are."""


@dataclass
class Machinery:
    """Collected by a composition. readers: who must have read the log for it to count as drained."""

    service: str
    log: Log
    database: Database
    read_models: ReadModels
    letters: DeadLetters
    publications: Publications = field(default_factory=lambda: Publications(LogIdentity(""), ()))
    readers: Sequence[Reader] = ()
    metrics: ServiceMetrics | None = None
    consumption: Consumption | None = None
    keys: KeySource | None = None
    resend: Callable[[int], Awaitable[int]] | None = None
    """Publishes again from a log position; set where the relay runs."""
    positions: dict[str, Callable[[], int]] = field(default_factory=dict)
    """Per checkpoint how far its reader in this process is: it may have passed over events of other types."""
    failures: dict[str, Callable[[], int]] = field(default_factory=dict)
    """Per reaction of this process, and of ``imports``, how many steps failed since the last that went well."""
    busy: Callable[[], bool] | None = None
    """Whether this process has work in hand, told without asking anybody."""
    conditions: dict[str, str] = field(default_factory=dict)
    """Faults set by background tasks, by part: shown by ``/readyz``, which is red while there are any."""

    async def caught_up(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109
        """For ``Min-Log-Position``."""
        return await self.read_models.caught_up(position, timeout)

    async def lag(self, traffic: Traffic | None = None) -> LagReport:
        """Everything that may be behind. Raises nothing: a broker that is away shows as topic "" unread.

        traffic: what is to be taken, where it has just been asked for.
        """
        if traffic is None:
            traffic = await self._traffic()
        # Who had read up to the head before the head was read has written nothing behind it.
        here = {name: position() for name, position in self.positions.items()}
        async with self.database.read() as connection:
            rows = await connection.execute(_STANDING)
        head = await self.log.head()
        known: dict[str, int] = {str(row.name): int(row.position) for row in rows}
        open_letters, parked, imports = (known.pop(name) for name in _COUNTED)
        readers = {reader.checkpoint: 0 for reader in self.readers} | known
        for reader in self.readers:
            passed = max(readers[reader.checkpoint], here.get(reader.checkpoint, 0))
            readers[reader.checkpoint] = await self._read_until(reader, passed, head)
        topics = [TopicLag(topic, messages) for topic, messages in sorted(traffic.unread.items())]
        behind = any(readers[reader.checkpoint] < head for reader in self.readers)
        drained = not behind and not imports and not any(lag.messages for lag in topics)
        published = await self._published() if drained else None
        return LagReport(
            service=self.service,
            log_position=head,
            relay_position=readers.get("relay", 0),
            readers=readers,
            topics=topics,
            dead_letters=open_letters,
            parked=parked,
            imports_running=imports,
            drained=published is not None,
            taken=dict(traffic.ends),
            published=published or {},
        )

    async def rest(self, runtime: Runtime, seconds: float) -> LagReport:
        """``lag`` as soon as everything is drained and nothing parked, else when the seconds are over."""
        until, pause = runtime.monotonic() + seconds, REST_SECONDS[0]
        while runtime.monotonic() < until:
            if self.busy is None or not self.busy():
                traffic = await self._traffic()
                if not any(traffic.unread.values()):
                    report = await self.lag(traffic)
                    if report.drained and not report.parked:
                        return report
            await runtime.sleep(pause)
            pause = min(REST_SECONDS[1], pause * 1.25)
        return await self.lag()

    async def _read_until(self, reader: Reader, position: int, head: int) -> int:
        """The head when nothing of the reader's types lies between its checkpoint and the head."""
        if reader.types is None or position >= head:
            return position
        here = position
        for _ in range(LOOK_AHEAD_PAGES):
            if here >= head:
                return head
            page = await self.log.read_page(here, LOOK_AHEAD, reader.types, head)
            if page.events or page.scanned == here:
                return position
            here = page.scanned
        return position

    async def _traffic(self) -> Traffic:
        if self.consumption is None:
            return Traffic()
        try:
            return await self.consumption.traffic()
        except Exception:  # noqa: BLE001 - a broker that is away is an answer here, not a failure
            return NO_ANSWER

    async def _published(self) -> dict[str, int] | None:
        """None: the broker is away."""
        if self.consumption is None:
            return {}
        try:
            return dict(await self.consumption.published())
        except Exception:  # noqa: BLE001 - see _traffic
            return None

    async def faults(self) -> list[str]:
        """Why the service is not ready, a few words each; none when it is."""
        faults = [f"{part}: {text}" for part, text in sorted(self.conditions.items())]
        failures: Mapping[str, str] = getattr(self.read_models, "failures", {})
        faults += [f"projection:{name}: {error}" for name, error in sorted(failures.items())]
        if self.keys is not None and self.keys.keys() is None:
            faults.append("issuer: no keys yet")
        try:
            await self.log.head()
        except Exception:  # noqa: BLE001 - whatever it is, the database is not ready
            faults.append(DATABASE_AWAY)
        return faults


def readers_of(description: ServiceDescription, types: EventTypes) -> list[Reader]:
    """Projections and reactions as readers of the log."""
    return [
        *(Reader(checkpoint_name(one), types.names(one.handles)) for one in description.projections),
        *(Reader(f"reaction:{one.name}", types.names(one.handles)) for one in description.reactions),
    ]


def received_messages(definition: ServiceDefinition) -> tuple[type[Message], ...]:
    """Contract messages the service takes from topics: as it says, or all its types know."""
    if definition.receives:
        return tuple(definition.receives)
    return tuple(message for message in contract_types().values() if _knows(definition.types, message))


def _knows(types: EventTypes, message: type[Message]) -> bool:
    try:
        types.name(message)
    except UnknownTypeError:
        return False
    return True
