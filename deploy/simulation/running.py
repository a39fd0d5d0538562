"""Runs plans: one history after the other, each from nothing, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from deploy.rehearsal.books import Books
from deploy.rehearsal.outside import World
from deploy.simulation.beginnings import State
from deploy.simulation.clients import SimulatedServices
from deploy.simulation.fate import Fate
from deploy.simulation.judging import Broken, digest_of, judge
from deploy.simulation.loop import StalledError, VirtualLoop
from deploy.simulation.plan import (
    QUIET,
    SERVICES,
    VILLAGES,
    Beginning,
    Draws,
    Fault,
    Plan,
    Stage,
    draw_plan,
    processes,
    quiet_plan,
)
from deploy.simulation.ports import PARTITIONS
from deploy.simulation.services import DEFINITIONS, PACKS, Instance, Process, SimulatedDatabase, Site
from deploy.simulation.village import Village
from shared.contracts.topics import TOPICS
from shared.kernel.clock import SeededRuntime, VirtualRuntime
from shared.messaging.memory import MemoryBroker
from shared.policy.registry import open_registry
from shared.security.issuer import Issuer, load_clients
from shared.security.principal import Principal
from shared.security.tokens import OwnKeys, TokenVerifier
from shared.testing.keys import memory_keyring
from shared.web.settings import Role

ORGANISATIONS = Path(__file__).parents[1] / "local" / "organisations.yaml"
FOREVER_SECONDS = 10 * 365 * 24 * 3600
REST_SECONDS = 90.0
SETTLED_SECONDS = 30.0
PAUSES = (0.002, 0.1)
ROLES = ((Role.ALL, "0"), (Role.API, "0"), (Role.WORKER, "1"), (Role.API, "2"))
"""What processes of a service there may be, and as which part of it (``plan.processes``)."""


class History(msgspec.Struct, frozen=True):
    """What became of a plan. failure: the rule that broke, empty when all held; detail: how.

    digest: of all four logs; struck: the faults that found their moment, in order; record: what happened, when
    it was traced; seconds: virtual.
    """

    seed: int
    failure: str
    detail: str
    digest: str
    events: int
    seconds: float
    struck: list[str]
    record: list[str]


@dataclass
class _Run:
    """A history under way."""

    plan: Plan
    fate: Fate
    sites: dict[str, Site]
    broker: MemoryBroker
    living: dict[str, Process]
    numbers: dict[str, int]
    books: sqlite3.Connection
    persons: Mapping[str, str]
    kept: dict[Beginning | None, State] | None
    requests: int = 0


class Workshop:
    """What histories need and none may change: the loop, routes, databases, tokens. Not for several threads."""

    def __init__(self) -> None:
        self._loop = VirtualLoop()
        runtime = SeededRuntime(0)
        clients = load_clients(ORGANISATIONS)
        issuer = Issuer.of(memory_keyring(), clients, runtime)
        self._verifier = TokenVerifier(OwnKeys(issuer.public_keys()), runtime)
        self._tokens = {
            client.client_id: issuer.sign(
                Principal(client.organisation, client.client_id, frozenset(client.scopes), client.divisions),
                FOREVER_SECONDS,
            )
            for client in clients
        }
        self._instances: dict[tuple[str, Role, str], Instance] = {}
        self._databases = {one.name: SimulatedDatabase(one) for one in DEFINITIONS}
        self._scratch = {one.name: SimulatedDatabase(one) for one in DEFINITIONS}
        self._packs = {f"{pack.id}/{pack.version}": pack for pack in open_registry(PACKS)}
        self._states: dict[Beginning | None, State] = {}

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()
        gc.unfreeze()

    def prepare(self) -> None:
        """Make now what is else made when it is first needed: all routes, all quiet villages. What is there then
        is no garbage, and need not be looked through after each history."""
        for name in SERVICES:
            for role, part in ROLES:
                self._instance(name, role, part)
        for village in range(VILLAGES):
            self._state(Beginning(Stage.LISTED, village))
        gc.collect()
        gc.freeze()

    def _state(self, begins: Beginning | None) -> State:
        """What a history begins with. Raises Broken when a quiet village is not sound."""
        if begins not in self._states:
            if begins is None:
                self._states[None] = State.empty(MemoryBroker(SeededRuntime(0)))
            else:
                quiet = self._quiet(begins.village)
                if quiet.failure:
                    raise Broken("BEGINNING", quiet.detail)
        return self._states[begins]

    def _quiet(self, village: int) -> History:
        plan = quiet_plan(village)
        kept: dict[Beginning | None, State] = {}
        history = self._run(plan, self._state(None), kept=kept)
        self._states |= kept
        return history

    def run(self, plan: Plan, *, traced: bool = False) -> History:
        """One history. It never raises for what happens in it."""
        try:
            state = self._state(plan.begins)
        except Broken as broken:
            return History(plan.seed, broken.what, str(broken), "", 0, 0.0, [], [])
        return self._run(plan, state, traced=traced)

    def _run(
        self,
        plan: Plan,
        state: State,
        *,
        traced: bool = False,
        kept: dict[Beginning | None, State] | None = None,
    ) -> History:
        """kept: filled with the states it passes through, by stage."""
        order = Draws(-plan.seed - 1)
        self._loop.begin(order.numbers if plan.shuffled else None, state.seconds)
        fate = Fate(plan, self._loop.time, traced=traced)
        sites = {one.name: state.site(one, self._databases[one.name]) for one in DEFINITIONS}
        broker = state.broker.copied(SeededRuntime(plan.seed))
        run = _Run(plan, fate, sites, broker, {}, {}, state.opened_books(), state.persons, kept)
        with _collector_paused(), _silence():
            failure, detail, events = self._outcome(run)
            if traced:
                _trace_logs(run)
        return History(
            plan.seed,
            failure,
            detail,
            digest_of(sites),
            events,
            round(self._loop.time(), 3),
            [str(fault) for fault in fate.struck],
            fate.record,
        )

    def _outcome(self, run: _Run) -> tuple[str, str, int]:
        try:
            return "", "", self._loop.run_until_complete(self._history(run))
        except Broken as broken:
            return broken.what, str(broken), 0
        except StalledError as stalled:
            return "STALLED", str(stalled), 0
        except Exception as fault:  # noqa: BLE001 - whatever a history ends with is its outcome
            return type(fault).__name__, f"{type(fault).__name__}: {fault}", 0
        finally:
            self._end(run)
            run.books.close()

    def _end(self, run: _Run) -> None:
        """Nothing of this history may reach the next."""
        run.fate.calm = True
        for process in run.living.values():
            process.kill(0)
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.begin_nothing()
        with contextlib.suppress(StalledError):
            self._loop.run_until_complete(_ended(pending))

    async def _history(self, run: _Run) -> int:
        """Answers the number of events. Raises Broken, or whatever the campaign ended with."""
        runtime = VirtualRuntime(run.plan.seed, self._loop.time)
        await run.broker.create_topics([replace(topic, partitions=PARTITIONS) for topic in TOPICS])
        for name in processes(run.plan.split):
            self._start(run, name)
        keeper = runtime.start(self._keep(run, runtime), "keeper")
        services = SimulatedServices(lambda name: _serving(run, name), self._tokens, run.fate, runtime)
        books = Books(run.books)
        world = World(books, services, pause=lambda _: runtime.sleep(0.05))
        village = Village(
            run.plan, services, world, runtime, lambda: self._rest(run, runtime), run.persons
        )  # fmt: skip
        begins = run.plan.begins
        await village.run(
            begins.stage if begins is not None else Stage.EMPTY,
            lambda stage: _keep_state(run, village, runtime, stage),
        )
        keeper.cancel()
        instances = {name: run.living[f"{name}/0"].instance for name in SERVICES}
        return await judge(run.sites, instances, self._scratch, books, self._packs)

    def _start(self, run: _Run, name: str) -> None:
        service, _, part = name.partition("/")
        role = Role.ALL if service not in run.plan.split else Role.WORKER if part == "1" else Role.API
        run.numbers[name] = run.numbers.get(name, 0) + 1
        process = Process(
            name, run.numbers[name], self._instance(service, role, part), run.sites[service], run.broker, run.fate,
            run.plan.seed,
        )  # fmt: skip
        run.living[name] = process
        process.start()

    def _instance(self, service: str, role: Role, part: str) -> Instance:
        if (service, role, part) not in self._instances:
            definition = next(one for one in DEFINITIONS if one.name == service)
            self._instances[service, role, part] = Instance(definition, role, self._verifier)
        return self._instances[service, role, part]

    async def _keep(self, run: _Run, runtime: VirtualRuntime) -> None:
        """Start again what died, after its time; its group hears of its death then."""
        while True:
            for name, process in list(run.living.items()):
                if process.gone():
                    process.downtime_ms -= 50
                    if process.downtime_ms <= 0:
                        for group, worker in process.memberships:
                            run.broker.evict(group, worker)
                        run.fate.note(f"{name} is started again")
                        self._start(run, name)
            await runtime.sleep(0.05)

    async def _rest(self, run: _Run, runtime: VirtualRuntime) -> None:
        """Until nothing is left to do. Raises Broken when it does not come to that."""
        until, pause = runtime.monotonic() + REST_SECONDS, PAUSES[0]
        heads: list[int] = []
        while runtime.monotonic() < until:
            before, heads = heads, [await site.log.head() for site in run.sites.values()]
            if before == heads and await _all_at_rest(run):
                return
            await runtime.sleep(pause)
            pause = min(PAUSES[1], pause * 1.5)
        raise Broken("RESTLESS", ", ".join(f"{name}: {_why(one)}" for name, one in run.living.items()))


async def _keep_state(run: _Run, village: Village, runtime: VirtualRuntime, stage: Stage) -> None:
    """Keep what is stored now, if histories are to begin with it. Readers have stored by then what they passed
    over, so that it is not read again each time."""
    if run.kept is not None and stage is not Stage.EMPTY:
        await runtime.sleep(SETTLED_SECONDS)
        begins = Beginning(stage, run.plan.seed - QUIET)
        now = asyncio.get_running_loop().time()
        run.kept[begins] = State.of(now, run.sites, run.broker, run.books, village.persons)


async def _all_at_rest(run: _Run) -> bool:
    for process in list(run.living.values()):
        if not await process.at_rest():
            return False
    return True


def _why(process: Process) -> str:
    """What a process that does not come to rest is behind with."""
    head = process.site.log.rows[-1].position if process.site.log.rows else 0
    behind = [name for name, at in process.wiring.machinery.positions.items() if at() < head]
    tasks = [str(task.get_coro()) for task in process.runtime.tasks] if process.dead else []
    state = "dead" if process.dead else "ready" if process.ready else "starting"
    return f"{state} {tasks}, head {head}, behind {behind}, {process.wiring.machinery.conditions}"


def _serving(run: _Run, service: str) -> Process | None:
    """The next of those that serve, in turn."""
    ready = [one for part in "02" if (one := run.living.get(f"{service}/{part}")) is not None and one.ready]
    run.requests += 1
    return ready[run.requests % len(ready)] if ready else None


async def _ended(tasks: set[asyncio.Task[object]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=60)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """When garbage is collected, generators are closed: that may not depend on the machine."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Faults are meant: what services log about them is of no use here."""
    before, disabled = structlog.get_config(), logging.root.manager.disable
    structlog.configure(processors=[_dropped], cache_logger_on_first_use=False)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        structlog.configure(**before)


def _dropped(*_: object) -> NoReturn:
    raise structlog.DropEvent


def _trace_logs(run: _Run) -> None:
    for name, site in run.sites.items():
        run.fate.record += [f"{name} {row.position:4} {row.stream} {row.type}" for row in site.log.rows]


def simulate(seed: int, workshop: Workshop, *, traced: bool = False) -> History:
    """The history of a seed."""
    return workshop.run(draw_plan(seed), traced=traced)


__all__ = ["Fault", "History", "Workshop", "simulate"]
