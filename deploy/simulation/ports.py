"""A process's own view of what outlives it: database, log and broker behind a gate.

At the gate a process may be killed, held up, or told of a failure. What was killed gets nothing through it any
more: whatever its ``finally`` blocks try, nothing is written. An open transaction is rolled back.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from deploy.simulation.fate import Fate
from shared.contracts.topics import Topic
from shared.eventstore.database import Connection
from shared.eventstore.log import (
    Failure,
    History,
    KeyId,
    LogTransaction,
    Proposal,
    Select,
    StoredRow,
    StreamKey,
    TailPage,
    Verdict,
)
from shared.eventstore.memory import MemoryLog
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.tailing import Recorded
from shared.kernel.clock import Runtime
from shared.messaging.broker import (
    Batch,
    BrokerUnavailableError,
    Listener,
    Outgoing,
    Partition,
    Subscription,
)
from shared.messaging.memory import MemoryBroker

PARTITIONS = 2
"""Partitions of a topic here: enough for them to overtake one another."""


class CommitFailedError(Exception):
    """The database rolled the transaction back; it may pass next time."""


class ConnectionLostError(Exception):
    """The database's answer to a commit never came."""


class Mortal(Protocol):
    """The process a gate belongs to."""

    @property
    def name(self) -> str:
        """As faults name it."""
        ...

    @property
    def dead(self) -> bool:
        """Whether it was killed."""
        ...

    @property
    def fate(self) -> Fate:
        """What goes wrong."""
        ...

    @property
    def runtime(self) -> Runtime:
        """Its time."""
        ...

    @property
    def memberships(self) -> list[tuple[str, str]]:
        """The groups it joined, and as whom."""
        ...

    def kill(self, downtime_ms: int) -> None:
        """Die, and be started again after so long."""
        ...


class _Turn:
    """Lets others run."""

    def __await__(self) -> Generator[None, None, None]:
        yield


TURN = _Turn()


class Gate:
    """Every await of a port passes here. Raises CancelledError in a process that is dead."""

    def __init__(self, process: Mortal) -> None:
        self._process = process
        self._fate = process.fate

    def check(self) -> None:
        """Nothing of the dead goes on."""
        if self._process.dead:
            raise asyncio.CancelledError("killed")

    async def __call__(self) -> None:
        """One await: it may be the last, it may take long, and others may run meanwhile."""
        process, fate = self._process, self._fate
        self.check()
        fault = fate.strikes("crash", process.name)
        if fault is not None:
            process.kill(fault.extent)
            self.check()
        fault = fate.strikes("delay", process.name)
        if fault is None:
            await TURN
        else:
            await process.runtime.sleep(fault.extent / 1000)
        self.check()

    async def before_commit(self) -> None:
        """The last moment before a commit. Raises CommitFailedError."""
        await self()
        if self._fate.strikes("commit_fails", self._process.name) is not None:
            raise CommitFailedError

    async def after_commit(self) -> None:
        """It is committed; whether the caller hears of it is another matter. Raises ConnectionLostError."""
        await self()
        if self._fate.strikes("commit_unknown", self._process.name) is not None:
            raise ConnectionLostError

    def broker(self) -> None:
        """Whether the broker can be reached now. Raises BrokerUnavailableError."""
        self.check()
        fault = self._fate.strikes("broker_away", self._process.name)
        now = self._process.runtime.monotonic()
        if fault is not None:
            self._away_until = now + fault.extent / 1000
        if now < self._away_until:
            raise BrokerUnavailableError("the broker is away")

    _away_until = 0.0

    def fault(self, kind: str) -> int | None:
        """The extent of a fault that strikes here."""
        fault = self._fate.strikes(kind, self._process.name)
        return fault.extent if fault is not None else None


class GatedDatabase:
    """See database.Database."""

    dialect = "sqlite"

    def __init__(self, database: MemoryDatabase, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """See Database.begin."""
        await self._gate()
        async with self._database.begin() as connection:
            yield connection
            await self._gate.before_commit()
        await self._gate.after_commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """See Database.read."""
        await self._gate()
        async with self._database.read() as connection:
            yield connection
        self._gate.check()


class GatedLog:
    """See log.Log."""

    def __init__(self, log: MemoryLog, database: GatedDatabase, gate: Gate) -> None:
        self._log = log
        self._gate = gate
        self.database = database
        self.types = log.types

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[LogTransaction]:
        """See Log.transaction."""
        await self._gate()
        async with self._log.transaction() as transaction:
            yield transaction
            await self._gate.before_commit()
        await self._gate.after_commit()

    async def load(
        self, streams: Sequence[StreamKey], keys: Sequence[KeyId], selects: Sequence[Select] = ()
    ) -> History:
        """See Log.load."""
        await self._gate()
        return await self._log.load(streams, keys, selects)

    async def append(self, proposal: Proposal) -> Verdict:
        """See Log.append."""
        async with self.transaction() as transaction:
            return await transaction.append(proposal)

    def failure(self, error: Exception) -> Failure:
        """See Log.failure."""
        if isinstance(error, ConnectionLostError):
            return Failure.CONNECTION
        return Failure.TRANSIENT if isinstance(error, CommitFailedError) else Failure.COMMAND

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """See Log.guard_holders."""
        await self._gate()
        return await self._log.guard_holders(kind, keys)

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """See Log.read_page."""
        await self._gate()
        return await self._log.read_page(after, limit, types, until)

    async def read_rows(self, after: int, limit: int, until: int | None = None) -> list[StoredRow]:
        """See tail.RawLog."""
        await self._gate()
        return await self._log.read_rows(after, limit, until)

    async def read(self, after: int, limit: int, types: frozenset[str] | None = None) -> list[Recorded[Any]]:
        """See Log.read."""
        return (await self.read_page(after, limit, types)).events

    async def read_stream(self, stream: str, era: int = 0) -> list[Recorded[Any]]:
        """See Log.read_stream."""
        await self._gate()
        return await self._log.read_stream(stream, era)

    async def find(self, types: frozenset[str], after: int, limit: int) -> list[Recorded[Any]]:
        """See Log.find."""
        await self._gate()
        return await self._log.find(types, after, limit)

    async def census(self) -> Mapping[str, int]:
        """See Log.census."""
        return await self._log.census()

    async def head(self) -> int:
        """See Log.head."""
        self._gate.check()
        return await self._log.head()

    async def lag_seconds(self, after: int) -> float:
        """See Log.lag_seconds."""
        return await self._log.lag_seconds(after)


class GatedBroker:
    """See broker.Broker."""

    def __init__(self, broker: MemoryBroker, gate: Gate, process: Mortal) -> None:
        self._broker = broker
        self._gate = gate
        self._process = process

    async def start(self) -> None:
        """See Broker.start."""

    async def stop(self) -> None:
        """See Broker.stop."""

    async def create_topics(self, topics: Iterable[Topic]) -> None:
        """See Broker.create_topics. They are there before anybody starts."""
        self._gate.broker()

    async def publish(self, batch: Sequence[Outgoing]) -> None:
        """See Broker.publish."""
        await self._gate()
        self._gate.broker()
        batch = [dataclasses.replace(record, part=record.part % PARTITIONS) for record in batch]
        part = self._gate.fault("ack_lost")
        if part is not None:
            await self._broker.publish(batch[: len(batch) * part // 16])
            raise BrokerUnavailableError("the acknowledgement got lost")
        await self._broker.publish(batch)
        if self._gate.fault("repeated") is not None:
            await self._broker.publish(batch)
        await self._gate()

    async def subscribe(
        self, group: str, topics: Sequence[str], worker: str, listener: Listener
    ) -> Subscription:
        """See Broker.subscribe."""
        await self._gate()
        self._gate.broker()
        inner = await self._broker.subscribe(group, topics, worker, listener)
        self._process.memberships.append((group, worker))
        return _GatedSubscription(inner, listener, self._gate)

    async def bounds(self, topics: Sequence[str]) -> Mapping[Partition, tuple[int, int]]:
        """See Broker.bounds."""
        self._gate.broker()
        return await self._broker.bounds(topics)


class _GatedSubscription:
    """See broker.Subscription."""

    def __init__(self, inner: Subscription, listener: Listener, gate: Gate) -> None:
        self._inner = inner
        self._listener = listener
        self._gate = gate

    async def poll(self, max_records: int, wait_seconds: float = 0.0) -> list[Batch]:
        """See Subscription.poll."""
        await self._gate()
        self._gate.broker()
        batches = await self._inner.poll(max_records, wait_seconds)
        await self._gate()
        part = self._gate.fault("cut") if batches else None
        if part is not None:
            batches = await self._cut(batches, part)
        if batches and self._gate.fault("rebalance") is not None:
            ours = sorted(self._inner.assignment())
            await self._listener.on_revoked(ours)
            await self._listener.on_assigned(ours)
        return batches

    async def _cut(self, batches: Sequence[Batch], part: int) -> list[Batch]:
        """The partitions backwards, and of each only a part; what is missing comes later, in order."""
        kept = []
        for batch in reversed(batches):
            count = len(batch.records) * part // 17
            await self._inner.seek(batch.partition, batch.records[count].offset)
            if count:
                kept.append(Batch(batch.partition, batch.records[:count]))
        return kept

    def assignment(self) -> frozenset[Partition]:
        """See Subscription.assignment."""
        return self._inner.assignment()

    async def seek(self, partition: Partition, offset: int) -> None:
        """See Subscription.seek."""
        self._gate.check()
        await self._inner.seek(partition, offset)

    async def bounds(self) -> Mapping[Partition, tuple[int, int]]:
        """See Subscription.bounds."""
        self._gate.broker()
        return await self._inner.bounds()

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Subscription.commit."""
        self._gate.broker()
        await self._inner.commit(offsets)

    async def close(self) -> None:
        """See Subscription.close. The dead do not take leave."""
        self._gate.check()
        await self._inner.close()
