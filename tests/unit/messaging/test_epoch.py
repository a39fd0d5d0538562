"""Epochs: a restored log refuses to start until its epoch rose, and its new facts are news."""

from __future__ import annotations

import pytest

from shared.eventstore.database import Connection
from shared.messaging.address import LogIdentity
from shared.messaging.epoch import EpochNotRaisedError, UnknownLogError, open_identity, raise_epoch
from shared.messaging.memory import MemoryBroker
from shared.messaging.publication import Publications
from shared.messaging.relay import Relay
from shared.testing.messaging import connect
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


class Disk:
    """A database's timeline that tests may change."""

    def __init__(self) -> None:
        self.number = 1

    async def timeline(self, _: Connection) -> str:
        return f"disk/{self.number}"


async def test_the_first_start_writes_the_identity_down() -> None:
    disk = Disk()
    async with source_parts() as parts:
        for _ in range(2):
            identity = await open_identity(parts.database, "registration", timeline=disk.timeline)
            assert identity == LogIdentity("registration")


async def test_a_changed_timeline_is_refused_until_the_epoch_rises() -> None:
    """Given a restore, then start-up refuses; after raise_epoch it starts with the next epoch."""
    disk = Disk()
    async with source_parts() as parts:
        await note(parts, EmploymentNoted(person_id="p1"))
        await open_identity(parts.database, "registration", timeline=disk.timeline)
        disk.number = 2
        with pytest.raises(EpochNotRaisedError):
            await open_identity(parts.database, "registration", timeline=disk.timeline)
        assert await raise_epoch(parts.log, parts.clock, timeline=disk.timeline) == 2
        identity = await open_identity(parts.database, "registration", timeline=disk.timeline)
        assert [identity.address(position).epoch for position in (1, 2)] == [1, 2]


async def test_a_log_that_never_started_has_no_epoch_to_raise() -> None:
    async with source_parts() as parts:
        with pytest.raises(UnknownLogError):
            await raise_epoch(parts.log, parts.clock, timeline=Disk().timeline)


@pytest.mark.parametrize(
    ("raised", "expected"), [(True, ["p1", "p2", "lost", "new"]), (False, ["p1", "p2", "lost"])]
)
async def test_facts_after_a_restore_are_news_only_with_a_raised_epoch(
    raised: bool, expected: list[str]
) -> None:
    """Positions are drawn twice. Without the epoch the new fact is dropped as a repeat: the reason for it."""
    async with source_parts() as before, source_parts(seed=9) as restored, sink_parts() as right:
        broker = MemoryBroker(before.runtime)
        network = await connect([source(before), sink(right)], broker)
        kept = [EmploymentNoted(person_id="p1"), EmploymentNoted(person_id="p2")]
        await note(before, *kept, EmploymentNoted(person_id="lost"))
        await network.settle_all()
        await note(restored, *kept)
        started_after = (await restored.log.head(),) if raised else ()
        relay = Relay(
            log=restored.log,
            broker=broker,
            publications=Publications(
                LogIdentity("registration", started_after=started_after), [EmploymentPublication()]
            ),
            leadership=network.services["registration"].relay._leadership,
            clock=restored.clock,
            runtime=restored.runtime,
        )
        await note(restored, EmploymentNoted(person_id="new"))
        while await relay.run_once():
            pass
        await network.settle_all()
        assert sorted(await persons(right)) == sorted(expected)
        epochs = {f.event.person_id: f.metadata.extra["source"][-1] for f in await received(right)}
        assert epochs.get("new", "2") == "2"
        assert epochs["p1"] == "1"


async def test_late_messages_of_an_ended_epoch_are_passed_over() -> None:
    """What a zombie publishes of a lost timeline never happened in the restored log."""
    async with source_parts() as before, source_parts(seed=9) as restored, sink_parts() as right:
        broker = MemoryBroker(before.runtime)
        network = await connect([source(before), sink(right)], broker)
        relay = Relay(
            log=restored.log,
            broker=broker,
            publications=Publications(
                LogIdentity("registration", started_after=(0,)), [EmploymentPublication()]
            ),
            leadership=network.services["registration"].relay._leadership,
            clock=restored.clock,
            runtime=restored.runtime,
        )
        await note(restored, EmploymentNoted(person_id="p1"))
        await relay.run_once()
        await note(before, EmploymentNoted(person_id="p1"))
        await network.settle_all()
        assert [f.metadata.extra["source"] for f in await received(right)] == ["registration/main/2"]
