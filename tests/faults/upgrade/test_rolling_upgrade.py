"""Rolling upgrade: old and new programs side by side on one log and one topic, old events in flight (issue 5 §2).

The new program knows schema 2 of an event and an upcaster (architecture §3, Evolution), and a message with one more
field. The old one knows schema 1 and the message without the field. Real PostgreSQL, the embedded broker.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import asyncpg
import pytest

from shared.contracts.message import Message
from shared.contracts.registration import EmployeeInsuranceReportedV1 as NewReport
from shared.contracts.topics import VITAL
from shared.eventstore.commands import Accepted, Append, Command, Done, Loaded
from shared.eventstore.migrate import migrate
from shared.eventstore.postgres import PostgresDatabase
from shared.eventstore.postgres_log import PostgresLog
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes, UnknownTypeError
from shared.eventstore.writer import Writer
from shared.kernel.clock import SystemRuntime, WallClock
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.messaging.address import LogIdentity
from shared.messaging.consumer import Consumer
from shared.messaging.embedded import EmbeddedBroker, prepare
from shared.messaging.intake import Intake
from shared.messaging.leadership import SoleLeadership
from shared.messaging.publication import Publications
from shared.messaging.relay import Relay

pytestmark = pytest.mark.postgres

THINGS: Category[int] = Category("thing", 0, lambda state, _: state + 1)
PAGE = 10
DAY = dt.date(2020, 9, 1)
UNTIL = dt.date(2021, 8, 31)


def old_event() -> type[Event]:
    """As the old program has it."""

    class EmploymentNoted(Event, frozen=True, kw_only=True):
        person_id: str
        since: str

    return EmploymentNoted


def new_event() -> type[Event]:
    """Schema 2: a date instead of text, and when it ends."""

    class EmploymentNoted(Event, frozen=True, kw_only=True):
        schema: ClassVar[int] = 2
        person_id: str
        from_date: dt.date
        to_date: dt.date | None

    return EmploymentNoted


def lift(old: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 to 2."""
    return {"person_id": old["person_id"], "from_date": old["since"], "to_date": None}


def old_report() -> type[Message]:
    """The message before it told when employment ends."""

    class EmployeeInsuranceReportedV1(Message, frozen=True, kw_only=True):
        topic: ClassVar = VITAL
        person_id: str
        insurance: Insurance
        from_date: dt.date

    return EmployeeInsuranceReportedV1


@dataclass(frozen=True)
class Program:
    """A version of the software: its event, its message, what it publishes."""

    event: Any
    message: Any
    upcasters: Sequence[tuple[str, int, Any]] = ()
    name: str = "employment"

    @property
    def handles(self) -> tuple[type[Event], ...]:
        return (self.event,)

    @property
    def types(self) -> EventTypes:
        return EventTypes([self.event], [self.message], self.upcasters)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event = recorded.event
        if self.upcasters:
            return [
                self.message(
                    person_id=event.person_id, insurance=Insurance.MEDICAL, from_date=event.from_date,
                    to_date=event.to_date,
                )
            ]  # fmt: skip
        since = dt.date.fromisoformat(event.since)
        return [self.message(person_id=event.person_id, insurance=Insurance.MEDICAL, from_date=since)]


OLD = Program(old_event(), old_report())
NEW = Program(new_event(), NewReport, [("EmploymentNoted", 1, lift)])


@dataclass
class Site:
    """Two services' databases and a broker; programs of either version work on them."""

    left: PostgresDatabase
    right: PostgresDatabase
    broker: EmbeddedBroker
    address: str

    def log(self, program: Program, database: PostgresDatabase) -> PostgresLog:
        return PostgresLog(database, program.types)

    async def writer(self, program: Program, database: PostgresDatabase) -> Writer:
        log = self.log(program, database)
        writer = Writer(log=log, clock=WallClock(), runtime=SystemRuntime(), types=program.types)
        await writer.start()
        return writer

    async def note(self, program: Program, events: Sequence[Event]) -> None:
        """Append each to its person's stream."""
        writer = await self.writer(program, self.left)
        try:
            for event in events:
                assert isinstance(await writer.execute(noted(event)), Done)
        finally:
            await writer.stop()

    def relay(self, program: Program) -> Relay:
        return Relay(
            log=self.log(program, self.left), broker=self.broker,
            publications=Publications(LogIdentity("registration"), [program]), leadership=SoleLeadership(),
            clock=WallClock(), runtime=SystemRuntime(), page_size=PAGE,
        )  # fmt: skip

    async def consume(self, program: Program, worker: str) -> int:
        """Take all there is; answers the number of facts in the right log then."""
        writer = await self.writer(program, self.right)
        consumer = Consumer(
            group="subsidy", worker=worker, broker=self.broker, store=writer, database=self.right,
            intake=Intake(program.types, [program.message]), clock=WallClock(), runtime=SystemRuntime(),
            page_size=PAGE, reclaim_seconds=0.2, commit_seconds=0.1,
        )  # fmt: skip
        try:
            while (await self.lag()) > 0:
                await consumer.run_once(0.1)
        finally:
            await consumer.leave()
            await writer.stop()
        return len(await self.facts(NEW))

    async def lag(self) -> int:
        """Messages of the topic that nobody has taken."""
        bounds = await self.broker.bounds([VITAL.name])
        connection = await asyncpg.connect(self.address)
        try:
            rows = await connection.fetch("SELECT part, next_offset FROM platform.offsets")
        finally:
            await connection.close()
        taken = {row["part"]: row["next_offset"] for row in rows}
        return sum(end - taken.get(partition.part, 0) for partition, (_, end) in bounds.items())

    async def facts(self, program: Program) -> list[Recorded[Any]]:
        """What the right log received, as a program reads it."""
        return await self.log(program, self.right).read(0, 1000)


def noted(event: Any) -> Command[Accepted]:
    """Note an employment, whatever was noted before."""
    stream = THINGS.stream(event.person_id)

    def decide(_: Loaded) -> Accepted:
        return Accepted([Append(stream, [event])])

    return Command("note", [stream], decide, Metadata("c1"))


def old(number: int) -> Event:
    """As the old program notes it."""
    event: Event = OLD.event(person_id=f"p{number}", since=DAY.isoformat())
    return event


def new(number: int) -> Event:
    """As the new program notes it."""
    event: Event = NEW.event(person_id=f"p{number}", from_date=DAY, to_date=UNTIL)
    return event


@pytest.fixture
async def site(database_factory: Callable[..., str]) -> AsyncIterator[Site]:
    """Empty databases and an empty topic."""
    right = database_factory(migrate)
    broker = EmbeddedBroker(database_factory(prepare), SystemRuntime(), session_seconds=1.0)
    await broker.start()
    await broker.create_topics({VITAL})
    made = Site(PostgresDatabase(database_factory(migrate)), PostgresDatabase(right), broker, right)
    yield made
    await broker.stop()
    await made.left.close()
    await made.right.close()


async def test_old_events_in_log_and_topic_arrive_once_whoever_relays_and_consumes(site: Site) -> None:
    """Given old events half published, when new programs write, relay and consume beside old ones, then each
    fact arrives once, in order per person, in the newest shape."""
    await site.note(OLD, [old(number) for number in range(30)])
    before = site.relay(OLD)
    assert await before.run_once() + await before.run_once() == 20
    await site.consume(OLD, "old")
    await site.note(NEW, [new(number) for number in range(20)])

    assert await before.run_once() == 10
    with pytest.raises(UnknownTypeError):
        await before.run_once()

    after = site.relay(NEW)
    while await after.run_once():
        pass
    assert await site.lag() == 30
    assert await site.consume(NEW, "new") == 50
    facts = [row.event for row in await site.facts(NEW)]
    by_person: dict[str, list[dt.date | None]] = {}
    for fact in facts:
        by_person.setdefault(fact.person_id, []).append(fact.to_date)
    assert by_person == {
        f"p{number}": [None, UNTIL] if number < 20 else [None] for number in range(30)
    }  # each once, the old one first


async def test_an_old_consumer_takes_a_newer_message_and_loses_nothing_of_it(site: Site) -> None:
    """A field it does not know does not stop it; its log keeps the field for the program that comes after."""
    await site.note(NEW, [new(1)])
    assert await site.relay(NEW).run_once() == 1
    assert await site.consume(OLD, "old") == 1
    [seen] = [row.event for row in await site.facts(OLD)]
    assert (seen.person_id, seen.from_date) == ("p1", DAY)
    [later] = [row.event for row in await site.facts(NEW)]
    assert later.to_date == UNTIL


async def test_an_old_program_decides_nothing_on_what_it_cannot_read(site: Site) -> None:
    """A stream the new program wrote to: the old one refuses the command, and writes nothing."""
    await site.note(NEW, [new(1)])
    writer = await site.writer(OLD, site.left)
    with pytest.raises(UnknownTypeError):
        await writer.execute(noted(old(1)))
    assert isinstance(await writer.execute(noted(old(2))), Done)
    await writer.stop()
    log = site.log(NEW, site.left)
    assert [row.stream for row in await log.read(0, 10)] == ["thing:p1", "thing:p2"]


async def test_an_old_relay_moves_over_nothing_it_cannot_read(site: Site) -> None:
    """It stands still, its cursor where it was: the lag shows, the new relay goes on from there."""
    await site.note(NEW, [new(1)])
    before = site.relay(OLD)
    for _ in range(3):
        with pytest.raises(UnknownTypeError):
            await before.run_once()
    assert before.position() == 0
    assert await site.lag() == 0
    assert await site.relay(NEW).run_once() == 1
    assert await site.lag() == 1
