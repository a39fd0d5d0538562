"""Dead letters of messages: they block their key only, and leave in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest

from shared.contracts.topics import VITAL
from shared.eventstore.dead_letters import DeadLetters
from shared.kernel.errors import ProblemError
from shared.messaging.address import LogIdentity
from shared.messaging.broker import Outgoing
from shared.messaging.memory import MemoryBroker
from shared.messaging.partitioner import partition_of
from shared.messaging.publication import Publications
from shared.testing.messaging import Network, connect
from shared.testing.store import MemoryParts
from tests.unit.messaging.samples import (
    EmploymentNoted,
    EmploymentPublication,
    note,
    persons,
    received,
    sink,
    sink_parts,
    source,
    source_parts,
)


class Scene:
    """A source and a sink; ``damage`` spoils the last record of a person on its way."""

    def __init__(self, left: MemoryParts, right: MemoryParts, network: Network, broker: MemoryBroker) -> None:
        self.left, self.right, self.network, self.broker = left, right, network, broker

    @property
    def letters(self) -> DeadLetters:
        return self.network.services["subsidy"].letters

    async def relay(self) -> None:
        while await self.network.services["registration"].relay.run_once():
            pass

    async def send(self, person: str, **damage: object) -> None:
        """One fact about a person, its envelope changed on its way."""
        await note(self.left, EmploymentNoted(person_id=person))
        await self.relay()
        if damage:
            for log in self.broker.records.values():
                if log and log[-1].key == person and log[-1].offset == len(log) - 1:
                    envelope = msgspec.json.decode(log[-1].value)
                    value = msgspec.json.encode({**envelope, **damage})
                    log[-1] = replace(log[-1], value=value)

    async def settle(self) -> list[str]:
        await self.network.settle_letters()
        return await persons(self.right)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left), sink(right)], broker)
        yield Scene(left, right, network, broker)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ({"payloaddigest": "0" * 64}, "BAD_DIGEST"),
        ({"type": "liangxian.registration.not_yet_known.v9"}, "UNKNOWN_TYPE"),
        ({"source": "nowhere"}, "BAD_ADDRESS"),
        ({"sequence": "x"}, "BAD_ADDRESS"),
        ({"specversion": 3}, "UNDECODABLE"),
        ({"time": "yesterday"}, "INVALID_PAYLOAD"),
        ({"time": "2020-01-01T00:00:00"}, "INVALID_PAYLOAD"),
        ({"time": "0001-01-01T00:00:00Z"}, "INVALID_PAYLOAD"),
        ({"time": "9999-12-31T23:59:59Z"}, "INVALID_PAYLOAD"),
        ({"type": "liangxian.collection.campaign_opened.v1"}, ""),
    ],
)
async def test_what_cannot_be_taken_becomes_a_dead_letter_with_its_code(
    scene: Scene, damage: dict[str, object], code: str
) -> None:
    """A bad message never stops the others; a known type we do not take is passed over instead."""
    await scene.send("p1", **damage)
    await scene.send("p2")
    assert await scene.settle() == ["p2"]
    assert [letter.code for letter in await scene.letters.list()] == ([code] if code else [])


async def test_a_message_in_the_wrong_topic_is_dead(scene: Scene) -> None:
    await scene.send("p1")
    (record,) = [record for log in scene.broker.records.values() for record in log]
    part = partition_of("p1", 6)
    await scene.broker.publish([Outgoing("registration.enrolment.v1", "p1", part, (), record.value)])
    assert await scene.settle() == ["p1"]
    (letter,) = await scene.letters.list()
    assert letter.code == "WRONG_TOPIC"


async def test_a_dead_letter_blocks_its_key_only_and_replays_in_order(scene: Scene) -> None:
    """Later messages of the key park behind it; a fix and a replay let them out in order."""
    await scene.send("p1", payloaddigest="0" * 64)
    await scene.send("p2")
    await scene.send("p1")
    await scene.send("p1")
    assert await scene.settle() == ["p2"]
    (letter,) = await scene.letters.list()
    assert await scene.letters.counts() == {
        ("message", VITAL.name, "open"): 1,
        ("message", VITAL.name, "parked"): 2,
    }
    dry = await scene.letters.replay(letter.id, by="op", dry_run=True)
    assert dry.outcomes == ["BAD_DIGEST"]
    (event,) = await scene.left.log.read(0, 1)
    publications = Publications(LogIdentity("registration"), [EmploymentPublication()])
    good = publications.envelope(event, 0, publications.messages(event)[0])
    await scene.letters.fix(letter.id, msgspec.json.encode(good))
    assert (await scene.letters.replay(letter.id, by="op", dry_run=True)).outcomes == ["accepted"]
    assert await persons(scene.right) == ["p2"]
    assert (await scene.letters.replay(letter.id, by="op")).outcomes == ["accepted"]
    await scene.send("p1")
    assert await scene.settle() == ["p2", "p1", "p1", "p1", "p1"]
    sequence = [
        f.metadata.extra["sequence"] for f in await received(scene.right) if f.event.person_id == "p1"
    ]
    assert sequence == ["1", "3", "4", "5"]
    assert await scene.letters.list() == []
    assert (await scene.letters.show(letter.id)).resolved_by == "op"


async def test_a_discarded_letter_lets_the_others_go_on(scene: Scene) -> None:
    await scene.send("p1", payloaddigest="0" * 64)
    await scene.send("p1")
    await scene.settle()
    (letter,) = await scene.letters.list()
    await scene.letters.discard(letter.id, by="op")
    assert await scene.settle() == ["p1"]
    await scene.send("p1")
    assert await scene.settle() == ["p1", "p1"]


async def test_a_parked_message_that_is_bad_itself_becomes_the_next_letter(scene: Scene) -> None:
    await scene.send("p1", payloaddigest="0" * 64)
    await scene.send("p1", type="liangxian.registration.from_the_future.v1")
    await scene.send("p1")
    await scene.settle()
    (first,) = await scene.letters.list()
    await scene.letters.discard(first.id, by="op")
    assert await scene.settle() == []
    (second,) = await scene.letters.list()
    assert second.code == "UNKNOWN_TYPE"
    await scene.letters.discard(second.id, by="op")
    assert await scene.settle() == ["p1"]


async def test_a_fix_must_be_a_message_we_could_take(scene: Scene) -> None:
    await scene.send("p1", payloaddigest="0" * 64)
    await scene.settle()
    (letter,) = await scene.letters.list()
    with pytest.raises(ProblemError) as refused:
        await scene.letters.fix(letter.id, b'{"specversion": "1.0"}')
    assert refused.value.refusal.code == "UNDECODABLE"


async def test_a_letter_replayed_twice_appends_once(scene: Scene) -> None:
    await scene.send("p1", payloaddigest="0" * 64)
    await scene.settle()
    (letter,) = await scene.letters.list()
    await scene.letters.discard(letter.id, by="op")
    with pytest.raises(ProblemError) as refused:
        await scene.letters.replay(letter.id, by="op")
    assert refused.value.status == 404
    assert await persons(scene.right) == []


async def test_a_repeat_of_a_dead_message_is_no_second_letter(scene: Scene) -> None:
    """The watermark passes a dead letter too: the relay's repeats stay repeats."""
    await scene.send("p1", payloaddigest="0" * 64)
    await scene.settle()
    await scene.network.services["registration"].relay.resend(1)
    await scene.settle()
    assert len(await scene.letters.list()) == 1
    assert (await scene.letters.counts()).get(("message", VITAL.name, "parked"), 0) == 0
