"""The relay: cursor, refusals, lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.contracts.topics import TOPICS, VITAL
from shared.eventstore.tables import checkpoints, parked
from shared.messaging.broker import BrokerUnavailableError, Outgoing, PublishRejectedError
from shared.messaging.cursor import CursorLostError
from shared.messaging.memory import MemoryBroker
from shared.messaging.relay import NotLeadingError, Relay
from shared.testing.messaging import Connected, connect
from shared.testing.store import MemoryParts
from tests.unit.messaging.samples import (
    EmploymentNoted,
    EmploymentPublication,
    PeoplePublication,
    PersonAdded,
    Unheard,
    note,
    persons,
    received,
    sink,
    sink_parts,
    source,
    source_parts,
)


class Choosy(MemoryBroker):
    """Refuses every publish that holds a record of one of ``disliked`` keys."""

    disliked: set[str]

    def __init__(self, parts: MemoryParts) -> None:
        super().__init__(parts.runtime)
        self.disliked = set()
        self.publishes = 0

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        self.publishes += 1
        if any(record.key in self.disliked for record in batch):
            raise PublishRejectedError("not this one")
        await super().publish(batch)


async def cursor_of(parts: MemoryParts) -> int:
    async with parts.database.read() as connection:
        rows = await connection.execute(checkpoints.select().where(checkpoints.c.name == "relay"))
    return int(rows[0].position) if rows else 0


async def run_through(relay: Relay) -> None:
    """Step until idle; a refused page comes again."""
    for _ in range(20):
        try:
            if not await relay.run_once():
                return
        except PublishRejectedError:
            continue
    raise AssertionError("the relay does not come to rest")


async def test_the_cursor_passes_what_nobody_publishes() -> None:
    async with source_parts() as left:
        network = await connect([source(left)])
        await note(left, Unheard(), Unheard())
        await network.settle_all()
        assert await cursor_of(left) == 2


async def test_facts_of_others_are_not_published_again() -> None:
    """received: streams hold others' facts (a publication for the same type must not see them)."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left), sink(right)], broker)
        await note(left, EmploymentNoted(person_id="p1"))
        await network.settle_all()
        assert await cursor_of(right) == 1
        assert sum(map(len, broker.records.values())) == 1


async def test_a_relay_whose_cursor_was_moved_stops() -> None:
    """Compare-and-set: the one that loses raises and moves nothing."""
    async with source_parts() as left:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        relay = network.services["registration"].relay
        await note(left, EmploymentNoted(person_id="p1"))
        await network.settle_all()
        await note(left, EmploymentNoted(person_id="p2"))
        async with left.database.begin() as connection:
            await connection.execute(checkpoints.update().values(position=2))
        with pytest.raises(CursorLostError):
            await relay.run_once()
        assert await cursor_of(left) == 2


async def test_no_cursor_before_the_acknowledgements() -> None:
    async with source_parts() as left:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        await note(left, EmploymentNoted(person_id="p1"))
        broker.available = False
        with pytest.raises(BrokerUnavailableError):
            await network.services["registration"].relay.run_once()
        assert await cursor_of(left) == 0


async def letters_of(service: Connected) -> list[tuple[str, str, int, str]]:
    return [
        (letter.name, letter.key, letter.position, letter.code) for letter in await service.letters.list()
    ]


async def test_a_record_too_large_is_parked_loudly_and_its_key_waits() -> None:
    """The village's later units park behind it, others pass; after a fix in code they go out in a lane."""
    async with source_parts() as left, sink_parts() as right:
        network = await connect([source(left), sink(right)])
        huge = EmploymentNoted(person_id="v1", padding=1_100_000)
        await note(left, EmploymentNoted(person_id="v1", padding=1), huge)
        await note(
            left, EmploymentNoted(person_id="v2", padding=1), EmploymentNoted(person_id="v1", padding=2)
        )
        await network.settle_letters()
        assert sorted(await persons(right)) == ["v1", "v2"]
        service = network.services["registration"]
        assert await letters_of(service) == [("registration.enrolment.v1", "v1", 2, "RECORD_TOO_LARGE")]
        (letter,) = await service.letters.list()
        assert (await service.letters.replay(letter.id, by="op")).outcomes == ["RECORD_TOO_LARGE"]
        await service.letters.discard(letter.id, by="op")
        await note(left, EmploymentNoted(person_id="v1", padding=3))
        await network.settle_all()
        facts = [fact for fact in await received(right) if fact.event.unit_id == "v1"]
        assert [len(fact.event.name) for fact in facts] == [1, 2, 3]


async def test_what_a_lane_brought_is_not_booked_again_by_a_resend() -> None:
    async with source_parts() as left, sink_parts() as right:
        publication = EmploymentPublication()
        publication.broken = {"p1"}
        network = await connect([source(left, publications=[publication, PeoplePublication()]), sink(right)])
        await note(left, EmploymentNoted(person_id="p1"), EmploymentNoted(person_id="p2"))
        await network.settle_letters()
        assert await persons(right) == ["p2"]
        publication.broken = set()
        service = network.services["registration"]
        (letter,) = await service.letters.list()
        assert letter.code == "ZeroDivisionError"
        assert "secret" not in repr(letter)
        assert (await service.letters.replay(letter.id, by="op")).outcomes == ["accepted"]
        await network.settle_all()
        await service.relay.resend(1)
        await network.settle_all()
        assert sorted(await persons(right)) == ["p1", "p2"]


async def test_a_publication_that_raises_stops_its_stream_only() -> None:
    """Later events of the stream park; the letter names the publication, the stream and the exception's class."""
    async with source_parts() as left, sink_parts() as right:
        publication = EmploymentPublication()
        publication.broken = {"p1"}
        network = await connect([source(left, publications=[publication, PeoplePublication()]), sink(right)])
        await note(left, EmploymentNoted(person_id="p1"), EmploymentNoted(person_id="p1"))
        await note(left, EmploymentNoted(person_id="p2"))
        await network.settle_letters()
        service = network.services["registration"]
        assert await letters_of(service) == [("publication:employment", "thing:p1", 1, "ZeroDivisionError")]
        publication.broken = set()
        await note(left, EmploymentNoted(person_id="p1"))
        await network.settle_letters()
        assert await persons(right) == ["p2"]
        (letter,) = await service.letters.list()
        await service.letters.replay(letter.id, by="op")
        await network.settle_all()
        of_p1 = [fact for fact in await received(right) if fact.event.person_id == "p1"]
        assert [fact.metadata.extra["sequence"] for fact in of_p1] == ["1", "2", "4"]


async def test_a_record_the_broker_keeps_refusing_is_isolated() -> None:
    """Three times the page, then halves, then three times alone: dead; all others are out, in order."""
    async with source_parts() as left, sink_parts() as right:
        broker = Choosy(left)
        network = await connect([source(left), sink(right)], broker)
        broker.disliked = {"p7"}
        await note(
            left, *[EmploymentNoted(person_id=f"p{i}") for i in range(20)], EmploymentNoted(person_id="p7")
        )
        service = network.services["registration"]
        await run_through(service.relay)
        assert await letters_of(service) == [(VITAL.name, "p7", 8, "BROKER_REJECTED")]
        assert await cursor_of(left) == 21
        broker.disliked = set()
        await network.settle_letters()
        assert sorted(await persons(right)) == sorted(f"p{i}" for i in range(20) if i != 7)
        (letter,) = await service.letters.list()
        await service.letters.replay(letter.id, by="op")
        await network.settle_all()
        of_p7 = [fact for fact in await received(right) if fact.event.person_id == "p7"]
        assert [fact.metadata.extra["sequence"] for fact in of_p7] == ["8", "21"]


async def test_two_refused_keys_leave_earlier_records_of_the_first_alone() -> None:
    """What was published before a refusal must not park behind it (it would go out twice)."""
    async with source_parts() as left, sink_parts() as right:
        broker = Choosy(left)
        network = await connect([source(left), sink(right)], broker)
        await note(left, EmploymentNoted(person_id="a"), EmploymentNoted(person_id="b"))
        broker.disliked = {"a", "b"}
        service = network.services["registration"]
        await run_through(service.relay)
        async with left.database.read() as connection:
            assert await connection.execute(parked.select()) == []
        assert len(await service.letters.list()) == 2
        broker.disliked = set()
        for letter in await service.letters.list():
            await service.letters.replay(letter.id, by="op")
        await network.settle_all()
        assert sorted(await persons(right)) == ["a", "b"]


class Gated(MemoryBroker):
    """Every publish waits for a turn of the loop, as a network does."""

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        for _ in range(5):
            await self._runtime.sleep(0)
        await super().publish(batch)


async def test_a_resend_is_not_interleaved_with_new_facts() -> None:
    """Given a broker that lost everything, when facts are sent again while new ones arrive, then a consumer set
    to where the resend begins sees the whole log in order (a new fact in between would hide older ones)."""
    async with source_parts() as left, sink_parts() as right:
        broker = Gated(left.runtime)
        network = await connect([source(left)], broker)
        relay = network.services["registration"].relay
        relay._page_size = 5
        await note(left, *[EmploymentNoted(person_id="p1") for _ in range(30)])
        await network.settle_all()
        at = next(partition for partition, log in broker.records.items() if log)
        broker.records[at].clear()
        await note(left, *[EmploymentNoted(person_id="p1") for _ in range(10)])
        resending = left.runtime.start(relay.resend(1), "resend")
        await left.runtime.sleep(0)
        await network.settle_all()
        assert await resending == 30
        receiver = await connect([sink(right)], broker)
        await receiver.settle_all()
        sequence = [int(fact.metadata.extra["sequence"]) for fact in await received(right)]
        assert sequence == list(range(1, 41))


async def test_only_the_leader_sends_again() -> None:
    class Follower:
        async def hold(self) -> bool:
            return False

        async def release(self) -> None: ...

    async with source_parts() as left:
        network = await connect([source(left)])
        relay = network.services["registration"].relay
        relay._leadership = Follower()
        with pytest.raises(NotLeadingError):
            await relay.resend(1)


async def test_run_survives_a_broker_that_goes_and_comes() -> None:
    """The loop waits, reports, and goes on; ``stop`` ends it."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        await broker.create_topics(TOPICS)
        network = await connect([source(left), sink(right)], broker)
        relay = network.services["registration"].relay
        stop = asyncio.Event()
        broker.available = False
        left.store.subscribe(relay.wake)
        running = left.runtime.start(relay.run(stop), "relay")
        await note(left, PersonAdded(person_id="p1"))
        broker.available = True
        async with asyncio.timeout(10):
            while await cursor_of(left) < 1:
                await left.runtime.sleep(0)
        stop.set()
        async with asyncio.timeout(10):
            await running
        await network.settle_all()
        assert await persons(right) == ["p1"]
