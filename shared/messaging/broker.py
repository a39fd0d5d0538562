"""The broker port: partitioned logs, consumer groups, and nothing of Kafka's client library.

Adapters: ``memory`` (deterministic, one process), ``embedded`` (a PostgreSQL database of its own; the
one-machine default) and ``kafka`` (production). One contract suite holds for all three. What callers may
rely on: order within a partition, and only there; at least once; a rebalance at any moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from shared.contracts.topics import Topic

MAX_RECORD_BYTES = 1 << 20
"""Largest record, as ``record_size`` counts it: the topics' ``max.message.bytes``."""

RECORD_OVERHEAD = 128
"""What a batch and a record's own fields may take at most beside key, value and headers."""

Headers = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """One partition of a topic. Sorts by topic, then number."""

    topic: str
    part: int


@dataclass(slots=True)
class Outgoing:
    """A record on its way out; not to be changed. position, index: the fact's place in the source log, for parking."""

    topic: str
    key: str
    part: int
    headers: Headers
    value: bytes
    position: int = 0
    index: int = 0


@dataclass(slots=True)
class Record:
    """A record as the broker keeps it; not to be changed.

    timestamp: unix seconds of the append, for lag metrics only.
    """

    offset: int
    key: str
    value: bytes
    headers: Headers
    timestamp: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition in offset order, at least one. Offsets may have gaps."""

    partition: Partition
    records: tuple[Record, ...]

    @property
    def first_offset(self) -> int:
        return self.records[0].offset

    @property
    def next_offset(self) -> int:
        return self.records[-1].offset + 1


class BrokerError(Exception):
    """Something the broker did or did not do. After a publish: the outcome is unknown, publish again."""


class BrokerUnavailableError(BrokerError):
    """No broker, or no answer in time: try again later, the records are not at fault."""


class PublishRejectedError(BrokerError):
    """The broker answered, and not with an acknowledgement."""


class RecordTooLargeError(PublishRejectedError):
    """Records over the limit; found before anything was sent. indexes: their places in the batch."""

    def __init__(self, indexes: Sequence[int]) -> None:
        super().__init__(f"{len(indexes)} records are larger than {MAX_RECORD_BYTES} bytes")
        self.indexes = tuple(indexes)


class Listener(Protocol):
    """Told by a subscription when partitions come and go. May be called from the broker's own task."""

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Finish what is in hand and forget the partitions: somebody else will own them."""
        ...

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """These are ours now: claim them and ``seek`` to where we are."""
        ...


class Subscription(Protocol):
    """A worker's membership in a consumer group."""

    async def poll(self, max_records: int, wait_seconds: float = 0.0) -> list[Batch]:
        """What there is, at most ``max_records`` in all; waits up to ``wait_seconds`` when there is nothing.

        Rebalances happen in here (or in the adapter's own task): the listener is called. Raises BrokerError.
        """
        ...

    def assignment(self) -> frozenset[Partition]:
        """The partitions that are ours at this moment."""
        ...

    async def seek(self, partition: Partition, offset: int) -> None:
        """The next poll of the partition starts here. Ignored when it is not ours any more."""
        ...

    async def bounds(self) -> Mapping[Partition, tuple[int, int]]:
        """(first offset kept, next offset to be written) of the assigned partitions."""
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the broker how far we are, so that its lag tools see it. Never what we start from."""
        ...

    async def close(self) -> None:
        """Leave the group. Never raises, never hangs."""
        ...


class Broker(Protocol):
    """Topics, publishing and subscribing. ``start`` may be called while the broker is away."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Release connections. Never hangs."""
        ...

    async def create_topics(self, topics: Iterable[Topic]) -> None:
        """Create those that are missing; existing ones are left as they are. Raises BrokerError."""
        ...

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """Append the records; returns when all are acknowledged. Order is kept within a partition.

        Raises RecordTooLargeError (nothing was sent), BrokerUnavailableError or PublishRejectedError
        (outcome unknown: publish the same records again; consumers skip what they had).
        """
        ...

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        """Join a group. Raises BrokerError."""
        ...

    async def bounds(self, topics: Sequence[str]) -> Mapping[Partition, tuple[int, int]]:
        """(first offset kept, next offset to be written) of every partition. Raises BrokerError."""
        ...


def record_size(record: Outgoing) -> int:
    """Bytes the record may take on the broker: an upper bound, the same for every adapter."""
    return len(record.key.encode()) + len(record.value) + _headers_size(record.headers) + RECORD_OVERHEAD


@lru_cache(maxsize=256)
def _headers_size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 10 for name, value in headers)


def refuse_too_large(batch: Sequence[Outgoing]) -> None:
    """Raises RecordTooLargeError before anything is sent."""
    indexes = [i for i, record in enumerate(batch) if record_size(record) > MAX_RECORD_BYTES]
    if indexes:
        raise RecordTooLargeError(indexes)


def by_partition(batch: Iterable[Outgoing]) -> dict[Partition, list[Outgoing]]:
    """Records per partition, order kept, partitions sorted."""
    groups: dict[Partition, list[Outgoing]] = {}
    for record in batch:
        groups.setdefault(Partition(record.topic, record.part), []).append(record)
    return dict(sorted(groups.items()))


def assign(
    members: Sequence[tuple[str, Sequence[str]]], partitions: Mapping[str, int]
) -> dict[str, frozenset[Partition]]:
    """Who gets what: per topic round robin over its subscribers, in order of their names.

    members: (name, topics). partitions: topic to number of partitions. Pure, so that every member of a group
    computes the same answer from the same membership (memory and embedded adapters).
    """
    shares: dict[str, set[Partition]] = {name: set() for name, _ in members}
    turn = 0
    for topic in sorted(partitions):
        takers = sorted(name for name, wanted in members if topic in wanted)
        for part in range(partitions[topic] if takers else 0):
            shares[takers[turn % len(takers)]].add(Partition(topic, part))
            turn += 1
    return {name: frozenset(share) for name, share in shares.items()}
