"""The four services, made once; and their processes, which die and are started again.

A process is wired as in production (``shared.web.assemble.start_work``) on ports of its own (``ports``). What
outlives it is a ``Site``: the database, the log, and who leads its relay.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from fastapi import FastAPI

from deploy.simulation.fate import Fate
from deploy.simulation.memory_of import Pristine
from deploy.simulation.ports import Gate, GatedBroker, GatedDatabase, GatedLog
from services.collection.app import SERVICE as COLLECTION
from services.notification.app import SERVICE as NOTIFICATION
from services.registration.app import SERVICE as REGISTRATION
from services.subsidy.app import SERVICE as SUBSIDY
from shared.eventstore import tables as store_tables
from shared.eventstore.dead_letters import DeadLetters
from shared.eventstore.log import Failure
from shared.eventstore.memory import MemoryLog
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.tail import Tail
from shared.eventstore.writer import Writer
from shared.kernel.clock import SeededRuntime, SimulatedClock, VirtualRuntime
from shared.messaging.epoch import memory_timeline, open_identity
from shared.messaging.memory import MemoryBroker
from shared.messaging.publication import Publications
from shared.observability.metrics import ServiceMetrics
from shared.security.tokens import TokenVerifier
from shared.security.vault import Vault
from shared.testing.keys import memory_keyring
from shared.web import tables as web_tables
from shared.web.app import build_app
from shared.web.assemble import Process as Wiring
from shared.web.assemble import start_work
from shared.web.background import Background
from shared.web.calendar import Calendar, follow_clock
from shared.web.imports import Imports
from shared.web.machinery import Machinery, readers_of, received_messages
from shared.web.readers import ToldProjections
from shared.web.service import Ports, ServiceDefinition, ServiceDescription
from shared.web.settings import Role

DEFINITIONS: tuple[ServiceDefinition, ...] = (REGISTRATION, COLLECTION, SUBSIDY, NOTIFICATION)
RESTART_MS = 500
OFFSETS = "SELECT topic, part, next_offset FROM platform.offsets"
DAY = "SELECT day FROM platform.business_clock"
PACKS = Path(__file__).parent / "packs"


class Switch:
    """Stands for a port in routes that outlive processes; ``turn`` points it at the living one's."""

    def __init__(self) -> None:
        self._target: Any = None

    def turn(self, target: Any) -> None:
        """From now on this one."""
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class SwitchedClock(Switch):
    """A switch whose methods may be kept."""

    def now(self) -> dt.datetime:
        """See Clock.now."""
        now: dt.datetime = self._target.now()
        return now

    def today(self) -> dt.date:
        """See Clock.today."""
        today: dt.date = self._target.today()
        return today


class Unmeasured:
    """Metrics nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_: Any, **__: Any) -> None:
    return None


Image = Sequence[tuple[str, Sequence[tuple[Any, ...]]]]
"""What a database holds: how rows are put into a table, and the rows."""


class SimulatedDatabase(MemoryDatabase):
    """A database that can be emptied: making its tables costs more than a campaign."""

    def __init__(self, definition: ServiceDefinition) -> None:
        super().__init__([*definition.metadata, web_tables.metadata])
        known = [store_tables.metadata, *definition.metadata, web_tables.metadata]
        self._emptying = [f"DELETE FROM {_name(table)}" for one in known for table in one.tables.values()]
        self._dumping: dict[str, str] = {}
        self._tables = [table for one in known for table in one.tables.values()]

    def empty(self) -> None:
        """As after the migrations."""
        if self._driver.in_transaction:
            self._driver.rollback()
        self._lock = asyncio.Lock()
        self._holder = None
        self._driver.execute("PRAGMA query_only = OFF")
        self._driver.execute("BEGIN")
        for statement in self._emptying:
            self._driver.execute(statement)
        self._driver.execute("COMMIT")

    def image(self) -> Image:
        """All that is stored."""
        return [
            (f"INSERT INTO {_name(table)} VALUES ({', '.join('?' * len(table.c))})", rows)
            for table in self._tables
            if (rows := self.dump(table))
        ]

    def restore(self, image: Image) -> None:
        """As it was when the image was made."""
        self.empty()
        self._driver.execute("BEGIN")
        for statement, rows in image:
            self._driver.executemany(statement, rows)
        self._driver.execute("COMMIT")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows as they are now, past the transactions: for whoever looks on."""
        return self._driver.execute(query).fetchall()

    def dump(self, table: sa.Table) -> list[tuple[Any, ...]]:
        """Every row of a table as it is stored, in the order of its key."""
        query = self._dumping.get(table.key)
        if query is None:
            columns = ", ".join(f'"{column.name}"' for column in table.c)
            order = ", ".join(f'"{column.name}"' for column in (table.primary_key.columns or table.c))
            query = self._dumping[table.key] = f"SELECT {columns} FROM {_name(table)} ORDER BY {order}"
        return self.ask(query)


def _name(table: sa.Table) -> str:
    return f'"{table.schema}"."{table.name}"' if table.schema else f'"{table.name}"'


class Instance:
    """A service's routes, read models and reactions, for one process of it at a time."""

    def __init__(self, definition: ServiceDefinition, role: Role, verifier: TokenVerifier) -> None:
        self.definition = definition
        self.settings = definition.settings(rehearsal=True, roles=role, packs=PACKS)
        names = ("store", "database", "log", "clock", "runtime", "vault", "imports")
        self._switches = {name: Switch() for name in (*names, "machinery", "calendar", "letters")}
        self._switches["clock"] = SwitchedClock()
        runtime = SeededRuntime(0)
        template = Imports(
            store=cast("Any", self._switches["store"]),
            database=cast("Any", self._switches["database"]),
            vault=cast("Any", self._switches["vault"]),
            clock=cast("Any", self._switches["clock"]),
            runtime=cast("Any", self._switches["runtime"]),
            failure=self._failure,
        )
        self._imports = template
        self._switches["imports"].turn(template)
        metrics = cast("ServiceMetrics", Unmeasured())
        parts: dict[str, Any] = {name: self._switches[name] for name in names}
        self.ports = Ports(
            service=definition.name, types=definition.types, settings=self.settings, metrics=metrics, **parts
        )
        self._switches["runtime"].turn(runtime)
        self._switches["clock"].turn(SimulatedClock(self.settings.rehearsal_start))
        self.description: ServiceDescription = definition.describe(self.ports)
        machinery: Any = self._switches["machinery"]
        machinery.turn(_Before(cast("Any", self._switches["letters"])))
        calendar: Any = self._switches["calendar"]
        self.app: FastAPI = build_app(
            definition, self.ports, self.description, machinery, verifier, calendar=calendar
        )
        self.app.middleware_stack = self.app.build_middleware_stack()
        endpoints = [getattr(route, "endpoint", None) for route in self.app.routes]
        self._pristine = Pristine([self.description, *endpoints], keep=[*self._switches.values(), template])

    def _failure(self, fault: Exception) -> Failure:
        judged: Failure = self._switches["log"].failure(fault)
        return judged

    def imports(self, wiring: Mapping[str, Any]) -> Imports:
        """The imports of a process, with the kinds the service described."""
        made = Imports(**wiring)
        for kind in self._imports.kinds:
            made.register(kind)
        return made

    def turn(self, **targets: Any) -> None:
        """A new process: it knows nothing, and its ports are these."""
        self._pristine.restore()
        for name, target in targets.items():
            self._switches[name].turn(target)


@dataclasses.dataclass(frozen=True)
class _Before:
    """What the routes ask of the machinery while they are made."""

    letters: DeadLetters


class Site:
    """What outlives the processes of a service."""

    def __init__(self, definition: ServiceDefinition, database: SimulatedDatabase) -> None:
        self.definition = definition
        self.database = database
        self.log = MemoryLog(database, definition.types)
        self.leader: Process | None = None


class _Leadership:
    """See leadership.Leadership: a lock that the dead let go of."""

    def __init__(self, site: Site, process: Process) -> None:
        self._site = site
        self._process = process

    async def hold(self) -> bool:
        """See Leadership.hold."""
        if self._process.dead:
            raise asyncio.CancelledError("killed")
        if self._site.leader is None:
            self._site.leader = self._process
        return self._site.leader is self._process

    async def release(self) -> None:
        """See Leadership.release."""
        if self._site.leader is self._process:
            self._site.leader = None


class ProcessRuntime(VirtualRuntime):
    """A process's runtime: it knows every task, so that all of them can be killed."""

    def __init__(self, seed: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(seed, loop.time)
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.dead = False

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """See Runtime.start."""
        if self.dead:
            work.close()
            raise asyncio.CancelledError("killed")
        task = super().start(work, name)
        self.tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it

    async def sleep(self, seconds: float) -> None:
        """See Runtime.sleep."""
        if self.dead:
            raise asyncio.CancelledError("killed")
        await super().sleep(seconds)


class Process:
    """One life of a process. ``ready`` once it serves; ``dead`` once it was killed."""

    def __init__(
        self,
        name: str,
        number: int,
        instance: Instance,
        site: Site,
        broker: MemoryBroker,
        fate: Fate,
        seed: int,
    ) -> None:
        self.name = name
        self.instance = instance
        self.site = site
        self.fate = fate
        self.dead = self.ready = False
        self.downtime_ms = 0
        self.memberships: list[tuple[str, str]] = []
        loop = asyncio.get_running_loop()
        self.runtime = ProcessRuntime(_seed(seed, name, number), loop)
        self._broker = broker
        self._topics = sorted({one.topic.name for one in received_messages(instance.definition)})
        self.wiring = self._wire()

    def _wire(self) -> Wiring:
        instance, definition = self.instance, self.instance.definition
        gate = Gate(self)
        database = GatedDatabase(self.site.database, gate)
        log = GatedLog(self.site.log, database, gate)
        clock = SimulatedClock(instance.settings.rehearsal_start)
        tail = Tail(log, self.runtime)
        writer = Writer(
            log=log, tail=tail, clock=clock, runtime=self.runtime, types=definition.types, worth=1
        )
        vault = Vault(_KEYRING, definition.name, self.runtime, finds_by_number=definition.finds_by_number)
        base: dict[str, Any] = {"store": writer, "database": database, "clock": clock, "vault": vault}
        base["runtime"] = self.runtime
        imports = instance.imports({**base, "failure": log.failure})
        ports = dataclasses.replace(instance.ports, log=log, imports=imports, **base)
        projections = ToldProjections(
            log=log,
            projections=instance.description.projections,
            runtime=self.runtime,
            tail=tail,
            announcer=writer,
        )
        letters = DeadLetters(database, clock)
        readers = readers_of(instance.description, definition.types)
        machinery = Machinery(definition.name, log, database, projections, letters, readers=readers)
        calendar = Calendar(definition.name, writer, database, clock)
        broker = GatedBroker(self._broker, gate, self)
        instance.turn(
            log=log, imports=imports, machinery=machinery, calendar=calendar, letters=letters, **base
        )
        return Wiring(
            definition, instance.settings, ports, instance.description, database, log, tail, writer, projections,
            machinery, calendar, broker, _Leadership(self.site, self), self.site.database.close,
        )  # fmt: skip

    def start(self) -> None:
        """As ``shared.web.assemble.running`` does it; who cannot start ends, and is started again."""
        self.runtime.start(self._start(), "start").add_done_callback(self._started)

    def _started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.kill(RESTART_MS)

    async def _start(self) -> None:
        wiring, definition = self.wiring, self.instance.definition
        identity = await open_identity(wiring.database, definition.name, timeline=memory_timeline)
        wiring.machinery.publications = Publications(
            identity, wiring.description.publications, wiring.ports.vault
        )
        await wiring.writer.start()
        await wiring.calendar.restore()
        background = Background(self.runtime, wiring.machinery.conditions)
        if wiring.settings.works:
            start_work(wiring, background)
        if wiring.settings.roles is not Role.ALL:
            background.start("clock", lambda stop: follow_clock(wiring.calendar, self.runtime, stop))
        self.ready = True

    def kill(self, downtime_ms: int) -> None:
        """As kill -9: nothing of it goes on. What waits for it hears that the connection broke."""
        if self.dead:
            return
        self.dead = self.runtime.dead = True
        self.ready = False
        self.downtime_ms = downtime_ms
        if self.site.leader is self:
            self.site.leader = None
        for task in list(self.runtime.tasks):
            task.cancel("killed")

    def gone(self) -> bool:
        """Whether its last task has ended. Who did not hear that it was killed hears it again."""
        for task in list(self.runtime.tasks) if self.dead else ():
            task.cancel("killed")
        return self.dead and not self.runtime.tasks

    async def at_rest(self) -> bool:
        """Whether nothing is left to do, told by what it keeps in memory and, last, by the broker."""
        wiring = self.wiring
        if not self.ready or wiring.writer.busy or wiring.ports.imports.busy:
            return False
        if wiring.settings.roles is not Role.ALL and not self._follows():
            return False
        if not wiring.settings.works:
            return True
        busy, head = wiring.machinery.busy, await self.site.log.head()
        if busy is None or busy() or any(at() < head for at in wiring.machinery.positions.values()):
            return False
        return not self._unread()

    def _unread(self) -> bool:
        """Whether the broker holds messages for the service that it has not booked."""
        stored = {(topic, part): offset for topic, part, offset in self.site.database.ask(OFFSETS)}
        return any(
            self._broker.bound(partition)[1] > stored.get(partition, 0)
            for partition in self._broker.records
            if partition.topic in self._topics
        )

    def _follows(self) -> bool:
        """Whether the clock stands at the day last begun, in whatever process it was."""
        days = self.site.database.ask(DAY)
        return not days or days[0][0] == self.wiring.ports.clock.today().isoformat()


def _seed(seed: int, name: str, number: int) -> int:
    return int.from_bytes(f"{seed}/{name}/{number}".encode(), "big")


_KEYRING = memory_keyring()
