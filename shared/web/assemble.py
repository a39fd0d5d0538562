"""The production composition: PostgreSQL, the broker, one writer, and the tasks of the process's roles.

``production_app(SERVICE)`` is a factory for uvicorn: nothing is opened before the lifespan starts. One process
is one event loop, one writer, one ``/metrics``; ``LIANGXIAN_ROLES`` scales api and worker apart.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx
from fastapi import FastAPI

from shared.contracts.topics import TOPICS
from shared.eventstore.database import Database
from shared.eventstore.dead_letters import REACTION, DeadLetters
from shared.eventstore.log import Log
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.projections import checkpoint_name
from shared.eventstore.reactions import PreviewStore, ReactionRunner
from shared.eventstore.tail import PageReader, Tail
from shared.eventstore.writer import Writer
from shared.kernel.clock import Clock, Runtime, SimulatedClock, SystemRuntime, WallClock
from shared.messaging.broker import Broker
from shared.messaging.consumer import Consumer
from shared.messaging.epoch import open_identity
from shared.messaging.intake import Intake
from shared.messaging.leadership import AdvisoryLeadership, Leadership
from shared.messaging.publication import Publications
from shared.messaging.relay import CURSOR, Relay
from shared.messaging.relay_letters import RelayReplayer
from shared.messaging.worker import ConsumerWorker
from shared.observability.logging import configure, logger
from shared.observability.metrics import ServiceMetrics
from shared.observability.tracing import open_tracing
from shared.security.issuer import Issuer, load_clients
from shared.security.keyring import Keyring
from shared.security.tokens import KeySource, OwnKeys, RemoteKeys, TokenVerifier
from shared.security.vault import Vault
from shared.web.app import build_app
from shared.web.background import Background, Work
from shared.web.brokers import open_broker
from shared.web.calendar import Calendar, begin_missed_days, follow_clock
from shared.web.following import FollowingStore, FollowingTail
from shared.web.imports import Imports
from shared.web.leading import Turns
from shared.web.machinery import GroupLag, Machinery, Reader, readers_of, received_messages
from shared.web.memory import Trimming
from shared.web.migrating import migrate_service
from shared.web.readers import REACTION_POLL_SECONDS, ReactionBells, ToldProjections
from shared.web.service import Ports, ServiceDefinition, ServiceDescription
from shared.web.settings import Role, ServiceSettings

REACTION_PAGE = 1000
BROKER_WATCH_SECONDS = 5.0
BROKER_RETRY_SECONDS = 1.0

log = logger(__name__)


@dataclass
class Process:
    """Everything one process of a service is made of; opened and closed by ``running``.

    leadership: which process relays the log; close: lets the database go; turns: which process runs the readers,
    all that work where it is None.
    """

    definition: ServiceDefinition
    settings: ServiceSettings
    ports: Ports
    description: ServiceDescription
    database: Database
    log: Log
    tail: Tail
    writer: Writer
    projections: ToldProjections
    machinery: Machinery
    calendar: Calendar
    broker: Broker
    leadership: Leadership
    close: Callable[[], Awaitable[None]]
    turns: Turns | None = None


def production_app(definition: ServiceDefinition, settings: ServiceSettings | None = None) -> FastAPI:
    """The app of a service. Raises KeyFileError or ValueError for keys or clients that cannot be used."""
    settings = settings or definition.settings()
    runtime = SystemRuntime()
    configure(definition.name, runtime, settings.log_level)
    keyring = Keyring.load(settings.keys)
    process = open_process(definition, settings, keyring, runtime)
    issuer, source = _issuing(settings, keyring, runtime)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(process, source):
            yield

    process.machinery.keys = source
    return build_app(
        definition,
        process.ports,
        process.description,
        process.machinery,
        TokenVerifier(source, runtime, issuer=settings.issuer_url),
        issuer=issuer,
        lifespan=lifespan,
        calendar=process.calendar,
    )


def open_process(
    definition: ServiceDefinition, settings: ServiceSettings, keyring: Keyring, runtime: Runtime
) -> Process:
    """Make all parts; nothing connects yet."""
    clock: Clock = SimulatedClock(settings.rehearsal_start) if settings.rehearsal else WallClock()
    metrics = ServiceMetrics(definition.name)
    database = PostgresDatabase(
        settings.database_url.get_secret_value(),
        pool=settings.database_pool,
        application=f"liangxian-{definition.name}",
    )
    event_log = PostgresLog(database, definition.types)
    tail = Tail(event_log, runtime)
    writer = Writer(
        log=event_log,
        tail=tail,
        clock=clock,
        runtime=runtime,
        types=definition.types,
        metrics=metrics,
        queue=settings.queue_size,
    )
    vault = Vault(keyring, definition.name, runtime, finds_by_number=definition.finds_by_number)
    imports = Imports(
        store=writer,
        database=database,
        vault=vault,
        clock=clock,
        runtime=runtime,
        failure=event_log.failure,
    )
    ports = Ports(
        service=definition.name,
        store=writer,
        database=database,
        log=event_log,
        clock=clock,
        runtime=runtime,
        vault=vault,
        types=definition.types,
        settings=settings,
        metrics=metrics,
        imports=imports,
        tracing=open_tracing(definition.name, runtime, settings.traces_url, settings.traces_share),
    )
    description = definition.describe(ports)
    broker = open_broker(settings, runtime)
    dsn = settings.database_url.get_secret_value()
    turns = Turns(
        AdvisoryLeadership(dsn, f"readers:{definition.name}", runtime),
        writer,
        runtime,
        metrics.leads_readers,
    )
    tail.found = turns.heard
    projections = ToldProjections(
        log=event_log,
        projections=description.projections,
        runtime=runtime,
        tail=tail,
        announcer=turns,
    )
    machinery = Machinery(
        definition.name,
        event_log,
        database,
        projections,
        DeadLetters(database, clock),
        readers=readers_of(description, ports.types),
        metrics=metrics,
    )
    calendar = Calendar(definition.name, writer, database, clock)
    return Process(
        definition,
        settings,
        ports,
        description,
        database,
        event_log,
        tail,
        writer,
        projections,
        machinery,
        calendar,
        broker,
        AdvisoryLeadership(dsn, f"relay:{definition.name}", runtime),
        database.close,
        turns,
    )


def _issuing(
    settings: ServiceSettings, keyring: Keyring, runtime: Runtime
) -> tuple[Issuer | None, KeySource]:
    """Our own development issuer, or the keys of a foreign one."""
    if settings.issuer_url:
        return None, RemoteKeys(settings.issuer_url, httpx.AsyncClient(), runtime)
    clients = load_clients(settings.organisations) if settings.organisations is not None else ()
    issuer = Issuer.of(keyring, clients, runtime)
    return issuer, OwnKeys(issuer.public_keys())


@asynccontextmanager
async def running(process: Process, source: KeySource) -> AsyncIterator[None]:
    """Migrate, open, run the roles' tasks; close everything in reverse order."""
    settings, machinery = process.settings, process.machinery
    background = Background(process.ports.runtime, machinery.conditions)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(process.close)
        if process.ports.tracing is not None:
            closing.callback(process.ports.tracing.close)
        service_url = settings.database_url.get_secret_value()
        migrate_url = settings.migrate_url.get_secret_value() or service_url
        await migrate_service(process.definition, migrate_url, service_url)
        identity = await open_identity(process.database, process.definition.name)
        machinery.publications = Publications(identity, process.description.publications, process.ports.vault)
        await process.writer.start()
        closing.push_async_callback(process.writer.stop)
        await process.calendar.restore()
        await process.broker.start()
        closing.push_async_callback(process.broker.stop)
        messages = received_messages(process.definition)
        topics = sorted({message.topic.name for message in messages})
        machinery.consumption = GroupLag(process.broker, process.database, process.definition.name, topics)
        closing.push_async_callback(background.stop)
        if isinstance(source, RemoteKeys):
            closing.push_async_callback(source.close)
            background.start("issuer-keys", lambda _: source.run(), interrupt=True)
        if settings.works:
            start_work(process, background)
        if settings.roles is not Role.ALL:
            background.start(
                "clock", lambda stop: follow_clock(process.calendar, process.ports.runtime, stop)
            )
        _tune_collector()
        background.start("memory", Trimming(process.ports.runtime).run, interrupt=True)
        log.info("service_started", roles=settings.roles.value, rehearsal=settings.rehearsal)
        yield
        log.info("service_stopping")


def start_work(process: Process, background: Background) -> None:
    """Projections, reactions, relay, consumer, imports and the day's scheduler."""
    ports, machinery, turns = process.ports, process.machinery, process.turns
    projections = process.projections
    store, tail = _acting(process)
    bells = ReactionBells(process.log, projections, ports.runtime, process.tail)
    projections.moved = bells.wake
    process.writer.subscribe(bells.wake)
    runners: list[ReactionRunner] = []
    machinery.busy = lambda: (
        process.writer.busy
        or ports.imports.busy
        or (_leads(turns) and (bells.seen < process.writer.position or any(each.busy for each in runners)))
    )
    for projection in process.description.projections:
        machinery.positions[checkpoint_name(projection)] = partial(projections.position_of, projection)
    if turns is not None:
        background.start("readers", turns.run)
    background.start("projections", _led(turns, projections.run, projections.stand_by))
    for reaction in process.description.reactions:
        bell = bells.bell(reaction)
        runner = ReactionRunner(
            reaction=reaction,
            log=process.log,
            store=store,
            clock=ports.clock,
            runtime=ports.runtime,
            follows=projections.position if process.description.projections else None,
            announcer=bell,
            tail=tail,
            page=REACTION_PAGE,
            poll_seconds=REACTION_POLL_SECONDS,
        )
        bell.waits = runner.waits
        machinery.letters.register(REACTION, runner.name, runner)
        machinery.failures[f"reaction:{runner.name}"] = runner.failures
        machinery.positions[f"reaction:{runner.name}"] = partial(bells.position_of, bell, runner)
        runners.append(runner)
        background.start(f"reaction:{runner.name}", _led(turns, runner.run, runner.stand_by))
    background.start("bells", _led(turns, bells.run))
    background.start("broker", lambda stop: _keep_broker(process, stop), interrupt=True)
    _start_relay(process, background)
    _start_consumer(process, background, store)
    machinery.failures["imports"] = ports.imports.failures
    day = process.calendar.restore if _follows(process) else None
    background.start("imports", lambda _: ports.imports.run(day), interrupt=True)
    if not process.calendar.simulated:
        background.start(
            "days", lambda stop: begin_missed_days(process.calendar, ports, stop), interrupt=True
        )


def _leads(turns: Turns | None) -> bool:
    return turns is None or turns.leads


def _led(turns: Turns | None, work: Work, ended: Callable[[], None] | None = None) -> Work:
    return work if turns is None else turns.led(work, ended)


def _follows(process: Process) -> bool:
    """Whether another process begins the simulated days."""
    return process.settings.roles is not Role.ALL and process.calendar.simulated


def _acting(process: Process) -> tuple[PreviewStore, PageReader]:
    """With what reactions and the consumer act: where another process begins the simulated days, they ask for
    the day first."""
    if not _follows(process):
        return process.writer, process.tail
    return FollowingStore(process.writer, process.calendar), FollowingTail(process.tail, process.calendar)


async def _keep_broker(process: Process, stop: asyncio.Event) -> None:
    """Create the topics, however long the broker stays away, then see that it still answers."""
    conditions, created = process.machinery.conditions, False
    while not stop.is_set():
        try:
            if not created:
                await process.broker.create_topics(TOPICS)
                created = True
            await process.broker.bounds([TOPICS[0].name])
            conditions.pop("broker", None)
        except Exception as fault:  # noqa: BLE001 - the broker may be away: shown and tried again
            conditions["broker"] = type(fault).__name__
        pause = BROKER_RETRY_SECONDS if "broker" in conditions else BROKER_WATCH_SECONDS
        await process.ports.runtime.sleep(pause)


def _start_relay(process: Process, background: Background) -> None:
    ports, machinery = process.ports, process.machinery
    if not process.description.publications:
        return
    relay = Relay(
        log=process.log,
        broker=process.broker,
        publications=machinery.publications,
        leadership=process.leadership,
        clock=ports.clock,
        runtime=ports.runtime,
        metrics=ports.metrics,
        tail=process.tail,
    )
    process.writer.subscribe(relay.wake)
    machinery.resend = relay.resend
    machinery.positions[CURSOR] = relay.position
    own = [topic.name for topic in TOPICS if topic.service == process.definition.name]
    RelayReplayer(process.log, process.broker, machinery.publications, ports.clock).register(
        machinery.letters, own
    )
    machinery.readers = [
        *machinery.readers,
        Reader(CURSOR, ports.types.names(machinery.publications.handles)),
    ]
    background.start("relay", relay.run)


def _start_consumer(process: Process, background: Background, store: PreviewStore) -> None:
    ports = process.ports
    messages = received_messages(process.definition)
    if not messages:
        return
    consumer = Consumer(
        group=process.definition.name,
        worker=ports.runtime.new_id(),
        broker=process.broker,
        store=store,
        database=process.database,
        intake=Intake(
            process.definition.types, messages, ports.vault, sealed_only=process.definition.identities
        ),
        clock=ports.clock,
        runtime=ports.runtime,
        metrics=ports.metrics,
        tracing=ports.tracing,
    )
    consumer.replayer.register(process.machinery.letters)
    background.start("consumer", ConsumerWorker(consumer, ports.runtime, ports.metrics).run)


def _tune_collector() -> None:
    """Thousands of live futures make collections expensive: freeze what start-up made, collect rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
