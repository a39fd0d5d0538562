"""Relays and consumers as processes of their own, with places where they die or freeze.

``python -m tests.faults.messaging.processes '<Role as JSON>'``
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from shared.eventstore.commands import Outcome, Page
from shared.eventstore.database import Connection
from shared.eventstore.postgres import PostgresDatabase, Timeouts
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.types import EventTypes
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from shared.messaging.address import LogIdentity
from shared.messaging.broker import Broker, Outgoing
from shared.messaging.consumer import Consumer
from shared.messaging.embedded import EmbeddedBroker
from shared.messaging.intake import Intake
from shared.messaging.kafka import KafkaBroker
from shared.messaging.leadership import AdvisoryLeadership, Leadership, SoleLeadership
from shared.messaging.publication import Publications
from shared.messaging.relay import Relay
from shared.messaging.worker import ConsumerWorker
from tests.unit.messaging.samples import EVENTS, MESSAGES, EmploymentPublication

SESSION_SECONDS = 6.0
"""The shortest a Kafka broker allows by default."""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is, and at which call of what it dies (kill -9) or freezes (SIGSTOP).

    fault: ``before``, ``after`` a publish or a page's commit, or ``inside`` the page's transaction, behind the
    fence; at: the call at which it strikes, counted from 1; 0 never.
    """

    kind: str
    dsn: str
    broker: str
    address: str
    group: str = "subsidy"
    worker: str = "w1"
    fault: str = ""
    at: int = 0
    freeze: bool = False
    leads_alone: bool = False
    page: int = 50


class Faulty:
    """Counts calls and strikes."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._calls = 0

    def count(self) -> None:
        self._calls += 1

    def reached(self, place: str) -> None:
        if self._role.fault == place and self._calls == self._role.at:
            os.kill(os.getpid(), signal.SIGSTOP if self._role.freeze else signal.SIGKILL)


class FaultyBroker:
    """A broker whose publisher dies around a publish."""

    def __init__(self, inner: Broker, faulty: Faulty) -> None:
        self._inner = inner
        self._faulty = faulty

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        self._faulty.count()
        self._faulty.reached("before")
        await self._inner.publish(batch)
        self._faulty.reached("after")


class FaultyStore:
    """A store whose caller dies or freezes around a page's transaction, or inside it."""

    def __init__(self, inner: Writer, faulty: Faulty) -> None:
        self._inner = inner
        self._faulty = faulty

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def execute_page(self, page: Page) -> list[Outcome]:
        self._faulty.count()
        self._faulty.reached("before")

        async def effects(connection: Connection) -> bool:
            done = page.effects is None or await page.effects(connection)
            self._faulty.reached("inside")
            return done

        outcomes = await self._inner.execute_page(replace(page, effects=effects))
        self._faulty.reached("after")
        return outcomes


def open_broker(kind: str, address: str) -> Broker:
    """The adapter a role names."""
    if kind == "kafka":
        return KafkaBroker(address, SystemRuntime(), session_seconds=SESSION_SECONDS, publish_seconds=5.0)
    return EmbeddedBroker(address, SystemRuntime(), session_seconds=2.0)


def open_database(dsn: str) -> PostgresDatabase:
    """A frozen worker's row locks end before its successor's patience does."""
    return PostgresDatabase(dsn, pool=4, timeouts=Timeouts(idle_in_transaction=1.5))


def make_relay(role: Role, database: PostgresDatabase, broker: Any) -> Relay:
    log = PostgresLog(database, EventTypes(EVENTS, MESSAGES))
    leadership: Leadership = SoleLeadership()
    if not role.leads_alone:
        leadership = AdvisoryLeadership(role.dsn, "relay:registration", SystemRuntime())
    return Relay(
        log=log,
        broker=broker,
        publications=Publications(LogIdentity("registration"), [EmploymentPublication()]),
        leadership=leadership,
        clock=WallClock(),
        runtime=SystemRuntime(),
        page_size=role.page,
    )


def make_writer(database: PostgresDatabase) -> Writer:
    types = EventTypes(EVENTS, MESSAGES)
    return Writer(log=PostgresLog(database, types), clock=WallClock(), runtime=SystemRuntime(), types=types)


def make_consumer(role: Role, database: PostgresDatabase, store: Any, broker: Any) -> Consumer:
    return Consumer(
        group=role.group,
        worker=role.worker,
        broker=broker,
        store=store,
        database=database,
        intake=Intake(EventTypes(EVENTS, MESSAGES), MESSAGES),
        clock=WallClock(),
        runtime=SystemRuntime(),
        page_size=role.page,
        reclaim_seconds=0.5,
        commit_seconds=0.2,
    )


async def run(role: Role) -> None:
    """Be the role until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    broker = open_broker(role.broker, role.address)
    await broker.start()
    database = open_database(role.dsn)
    faulty = Faulty(role)
    if role.kind == "relay":
        await make_relay(role, database, FaultyBroker(broker, faulty)).run(stop)
    else:
        writer = make_writer(database)
        await writer.start()
        consumer = make_consumer(role, database, FaultyStore(writer, faulty), broker)
        await ConsumerWorker(consumer, SystemRuntime()).run(stop)
        await writer.stop()
    await broker.stop()
    await database.close()


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Role)))
