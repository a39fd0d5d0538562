"""Several services in one process, connected by a broker in memory: tests and simulation.

network = await connect([Member("registration", parts, publications=[...]), Member("collection", ...)])
await network.settle_all()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.message import Message
from shared.contracts.topics import TOPICS, Topic
from shared.eventstore.dead_letters import DeadLetters
from shared.eventstore.projections import ProjectionRunner
from shared.eventstore.tailing import Projection, Reaction
from shared.kernel.clock import SeededRuntime
from shared.messaging.address import LogIdentity
from shared.messaging.broker import Broker
from shared.messaging.consumer import Consumer
from shared.messaging.intake import Intake, Unsealer
from shared.messaging.leadership import SoleLeadership
from shared.messaging.memory import MemoryBroker
from shared.messaging.publication import Publication, Publications, Sealer
from shared.messaging.relay import Relay
from shared.messaging.relay_letters import RelayReplayer
from shared.observability.tracing import Tracing
from shared.testing.store import MemoryParts, Steps, settle


@dataclass(frozen=True, slots=True)
class Member:
    """One service: what it publishes, which messages it takes, and what follows from its log."""

    name: str
    parts: MemoryParts
    publications: Sequence[Publication] = ()
    handles: Sequence[type[Message]] = ()
    sealed_only: Sequence[type[Message]] = ()
    projections: Sequence[Projection] = ()
    reactions: Sequence[Reaction] = ()
    sealer: Sealer | None = None
    unsealer: Unsealer | None = None
    tracing: Tracing | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """A member with its runners. consumer is None when it takes no messages."""

    member: Member
    relay: Relay
    consumer: Consumer | None
    projections: ProjectionRunner
    steps: tuple[Steps, ...]
    letters: DeadLetters


class Network:
    """Connected services; see ``connect``."""

    def __init__(self, broker: Broker, services: dict[str, Connected]) -> None:
        self.broker = broker
        self.services = services

    @property
    def steps(self) -> list[Steps]:
        """Everything that can move, services in the order given."""
        return [step for service in self.services.values() for step in service.steps]

    async def settle_all(self, limit: int = 10_000) -> int:
        """Step relays, consumers, projections and reactions until nothing moves.

        Raises AssertionError when a projection failed or a dead letter is open: a test must not pass on facts
        that stopped half way. ``settle_letters`` lets letters be.
        """
        moved = await self.settle_letters(limit)
        for name, service in self.services.items():
            open_letters = [
                (letter.kind, letter.name, letter.code) for letter in await service.letters.list()
            ]
            if open_letters:
                raise AssertionError(f"{name} has dead letters: {open_letters}")
        return moved

    async def settle_letters(self, limit: int = 10_000) -> int:
        """``settle_all`` for tests that make dead letters on purpose."""
        moved = await settle(self.steps, limit)
        for name, service in self.services.items():
            if service.projections.failures:
                raise AssertionError(f"{name}: projections failed: {service.projections.failures}")
        return moved


def join(member: Member, broker: Broker, worker: str = "") -> Connected:
    """Give a member its relay, consumer and runners."""
    parts = member.parts
    publications = Publications(LogIdentity(member.name), member.publications, member.sealer)
    relay = Relay(
        log=parts.log,
        broker=broker,
        publications=publications,
        leadership=SoleLeadership(),
        clock=parts.clock,
        runtime=parts.runtime,
    )
    letters = DeadLetters(parts.database, parts.clock)
    RelayReplayer(parts.log, broker, publications, parts.clock).register(
        letters, [topic.name for topic in TOPICS if topic.service == member.name]
    )
    steps: list[Steps] = [relay]
    consumer = None
    if member.handles:
        consumer = Consumer(
            group=member.name,
            worker=worker or f"{member.name}-1",
            broker=broker,
            store=parts.store,
            database=parts.database,
            intake=Intake(parts.types, member.handles, member.unsealer, sealed_only=member.sealed_only),
            clock=parts.clock,
            runtime=parts.runtime,
            tracing=member.tracing,
            reclaim_seconds=0.0,
            commit_seconds=0.0,
        )
        consumer.replayer.register(letters)
        steps.append(consumer)
    projections = parts.projections(member.projections)
    steps.append(projections)
    follows = projections if member.projections else None
    steps += [parts.reaction(reaction, follows) for reaction in member.reactions]
    return Connected(member, relay, consumer, projections, tuple(steps), letters)


async def connect(
    members: Sequence[Member],
    broker: Broker | None = None,
    *,
    seed: int = 1,
    topics: Sequence[Topic] = TOPICS,
) -> Network:
    """Wire services over a broker (a MemoryBroker of its own by default) and create the topics."""
    broker = broker or MemoryBroker(SeededRuntime(seed))
    await broker.start()
    await broker.create_topics(topics)
    return Network(broker, {member.name: join(member, broker) for member in members})
