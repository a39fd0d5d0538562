"""Facts from one service's log into another's, over the broker in memory."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from shared.contracts.registration import EmployeeInsuranceReportedV1, PersonRegisteredV1
from shared.contracts.topics import VITAL
from shared.eventstore.dead_letters import DeadLetters
from shared.eventstore.tail import Tail
from shared.kernel.insurance import Insurance
from shared.messaging.memory import MemoryBroker
from shared.testing.messaging import connect
from tests.unit.messaging.samples import (
    EmploymentNoted,
    PersonAdded,
    RecordingSealer,
    Unheard,
    identities,
    note,
    persons,
    received,
    sink,
    sink_parts,
    source,
    source_parts,
)


async def test_a_published_fact_reaches_the_other_log_once() -> None:
    """Given an event, when all has settled, then its message lies in received:… with its correlation."""
    async with source_parts() as left, sink_parts() as right:
        network = await connect([source(left), sink(right)])
        await note(left, EmploymentNoted(person_id="p1"), Unheard(), correlation="c9")
        await network.settle_all()
        await network.settle_all()
        (fact,) = await received(right)
        (event,) = [row for row in await left.log.read(0, 10) if isinstance(row.event, EmploymentNoted)]
        assert fact.stream == f"received:registration:{VITAL.name}:p1"
        assert isinstance(fact.event, EmployeeInsuranceReportedV1)
        assert fact.metadata.correlation == "c9"
        assert fact.metadata.causation == event.event_id
        assert fact.metadata.campaign == "370406-2020"
        assert fact.metadata.extra == {"source": "registration/main/1", "sequence": "1"}
        assert fact.occurred_at == event.occurred_at


async def test_several_messages_of_one_event_all_arrive() -> None:
    """One event, two messages in one partition: the second is not a repeat of the first."""
    async with source_parts() as left, sink_parts() as right:
        network = await connect([source(left), sink(right)])
        both = (Insurance.MEDICAL, Insurance.PENSION)
        await note(left, EmploymentNoted(person_id="p1", insurances=both))
        await network.settle_all()
        facts = await received(right)
        assert [fact.event.insurance for fact in facts] == list(both)
        assert len({fact.metadata.causation for fact in facts}) == 2


async def test_sealed_fields_go_to_the_private_table_and_never_into_the_log() -> None:
    """Identities cross sealed for their receiver, one call per receiver and page (architecture §5)."""
    sealer = RecordingSealer(unknown=["p2"])
    async with source_parts() as left, sink_parts() as right:
        network = await connect([source(left, sealer=sealer), sink(right)])
        await note(left, PersonAdded(person_id="p1"), PersonAdded(person_id="p2"))
        await network.settle_all()
        assert sealer.calls == [("notification", ("p1", "p2")), ("subsidy", ("p1", "p2"))]
        async with right.database.read() as connection:
            rows = await connection.execute(identities.select())
        assert [tuple(row) for row in rows] == [("p1", "registration", "p1>subsidy")]
        assert [fact.event.sealed for fact in await received(right)] == [{}, {}]
        assert b"ciphertext" not in b"".join(
            row.data if isinstance(row.data, bytes) else row.data.encode() for row in right.log.rows
        )


async def test_of_a_message_taken_for_its_sealed_field_nothing_but_the_private_row_is_kept() -> None:
    """ADR 0022: the row commits with the offset, so a repeat changes nothing; the log does not grow."""
    async with source_parts() as left, sink_parts() as right:
        member = replace(sink(right), sealed_only=(PersonRegisteredV1,))
        network = await connect([source(left), member], MemoryBroker(left.runtime))
        await note(left, PersonAdded(person_id="p1"), EmploymentNoted(person_id="p1"))
        await network.settle_all()
        await network.services["registration"].relay.resend(1)
        await network.settle_all()
        assert await persons(right) == ["p1"]
        assert [type(row.event) for row in await received(right)] == [EmployeeInsuranceReportedV1]
        async with right.database.read() as connection:
            rows = await connection.execute(identities.select())
        assert [(row.person_id, row.ciphertext) for row in rows] == [("p1", "p1>subsidy")]


async def test_what_a_page_hands_to_readers_is_what_the_log_gives_back() -> None:
    """A message decoded on its way in is not decoded again: both ways to it must agree, sealed field or not."""
    async with source_parts() as left, sink_parts() as right:
        tail = Tail(right.log, right.runtime)
        right.store.tail = tail
        await tail.read_page(0, 10)
        network = await connect([source(left), sink(right)], MemoryBroker(left.runtime))
        await note(left, PersonAdded(person_id="p1"), EmploymentNoted(person_id="p2"))
        await network.settle_all()
        assert (await tail.read_page(0, 10)).events == await received(right)


async def test_a_row_that_does_not_open_stops_its_own_person_only() -> None:
    """A damaged private row or a retired key: one dead letter, and everybody else's facts go on."""
    sealer = RecordingSealer(damaged=["p2"])
    async with source_parts() as left, sink_parts() as right:
        network = await connect([source(left, sealer=sealer), sink(right)])
        await note(left, *(PersonAdded(person_id=person) for person in ("p1", "p2", "p3")))
        await network.settle_letters()
        assert {fact.event.person_id for fact in await received(right)} == {"p1", "p3"}
        letters = await DeadLetters(left.database, left.clock).list()
        assert [(letter.code, letter.state) for letter in letters] == [("VaultError", "open")]


async def test_resending_everything_changes_nothing_where_it_was_received() -> None:
    """Given all was received, when the relay sends it all again, then consumers skip it by position."""
    async with source_parts() as left, sink_parts() as right:
        network = await connect([source(left), sink(right)])
        await note(left, *[EmploymentNoted(person_id=f"p{i}") for i in range(20)])
        await network.settle_all()
        head = await right.log.head()
        assert await network.services["registration"].relay.resend(1) == 20
        await network.settle_all()
        assert await right.log.head() == head == 20


async def test_a_broker_that_is_away_loses_nothing() -> None:
    """The cursor only moves after the acknowledgements: the page comes again."""
    async with source_parts() as left, sink_parts() as right:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left), sink(right)], broker)
        await note(left, EmploymentNoted(person_id="p1"))
        broker.available = False
        with pytest.raises(Exception, match="away"):
            await network.services["registration"].relay.run_once()
        broker.available = True
        await network.settle_all()
        assert await persons(right) == ["p1"]


async def test_each_receiving_service_has_its_own_offsets() -> None:
    """Two services take the same topic: both get every fact, in the order of each key."""
    async with source_parts() as left, sink_parts() as right, sink_parts(seed=3) as third:
        network = await connect([source(left), sink(right), sink(third, "notification")])
        await note(left, *[EmploymentNoted(person_id=f"p{i % 3}") for i in range(9)])
        await network.settle_all()
        for parts in (right, third):
            facts = await received(parts)
            assert len(facts) == 9
            for person in ("p0", "p1", "p2"):
                of_person = [f for f in facts if f.event.person_id == person]
                sequence = [int(f.metadata.extra["sequence"]) for f in of_person]
                assert sequence == sorted(sequence)


async def test_the_envelope_is_cloudevents_with_the_extensions_of_the_blueprint() -> None:
    """specversion, id, source = service/log/epoch, sequence = position, SM3 of data, content type."""
    async with source_parts() as left:
        broker = MemoryBroker(left.runtime)
        network = await connect([source(left)], broker)
        await note(left, EmploymentNoted(person_id="p1"))
        await network.settle_all()
        (record,) = [record for log in broker.records.values() for record in log]
        envelope = msgspec.json.decode(record.value)
        (event,) = await left.log.read(0, 1)
        assert envelope.pop("data") == {
            "person_id": "p1",
            "insurance": "medical",
            "from_date": "2020-09-01",
            "to_date": None,
        }
        assert len(envelope.pop("payloaddigest")) == 64
        assert envelope.pop("time").endswith("+08:00")
        assert envelope == {
            "specversion": "1.0",
            "id": event.event_id,
            "source": "registration/main/1",
            "type": "liangxian.registration.employee_insurance_reported.v1",
            "sequence": "1",
            "subject": "p1",
            "campaign": "370406-2020",
            "insurance": "medical",
            "packid": "ST-2020",
            "correlationid": "c1",
            "actortype": "clerk",
        }
        assert dict(record.headers)["content-type"].startswith(b"application/cloudevents+json")
