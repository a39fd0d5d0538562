"""The log in Python lists, with the semantics of the PostgreSQL one.

A transaction's writes are staged and reach the lists when the database's transaction has committed; no
other task runs in between, so readers see both or neither.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from shared.eventstore.database import Connection, Row
from shared.eventstore.log import (
    Claim,
    Failure,
    GuardClaim,
    History,
    KeyId,
    Proposal,
    ReceivedEvent,
    Select,
    StoredEvent,
    StoredOutcome,
    StoredRow,
    StreamKey,
    TailPage,
    Verdict,
    recorded,
)
from shared.eventstore.sqlite import MemoryDatabase
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes


class MemoryLog:
    """See log.Log."""

    def __init__(self, database: MemoryDatabase, types: EventTypes) -> None:
        self.database = database
        self.types = types
        self.rows: list[StoredRow] = []
        self._streams: dict[StreamKey, list[StoredRow]] = {}
        self._claims: dict[KeyId, Claim] = {}
        self._guards: dict[tuple[str, str], str] = {}

    def copied(self, database: MemoryDatabase) -> MemoryLog:
        """Another log of the same content, beside a database whose content is the same."""
        copy = MemoryLog(database, self.types)
        copy.rows = list(self.rows)
        copy._streams = {key: list(rows) for key, rows in self._streams.items()}
        copy._claims, copy._guards = dict(self._claims), dict(self._guards)
        return copy

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_MemoryTransaction]:
        """See Log.transaction."""
        async with self.database.begin() as connection:
            transaction = _MemoryTransaction(self, connection)
            yield transaction
        self._apply(transaction)

    async def load(
        self, streams: Sequence[StreamKey], keys: Sequence[KeyId], selects: Sequence[Select] = ()
    ) -> History:
        """See Log.load."""
        looked_up: list[Sequence[Row]] = []
        if selects:
            async with self.database.read() as connection:
                looked_up = [
                    await connection.execute(statement, {"keys": wanted}) for statement, wanted in selects
                ]
        loaded = {
            key: [StoredEvent(row.version, row.type, row.schema, row.data) for row in self._streams[key]]
            for key in streams
            if key in self._streams
        }
        outcomes = {}
        for key_id in keys:
            claim = self._claims.get(key_id)
            if claim is not None:
                outcomes[key_id] = StoredOutcome(
                    claim.digest, claim.status, claim.response, self._position_of(claim)
                )
        return History(loaded, outcomes, looked_up)

    def _position_of(self, claim: Claim) -> int:
        if claim.era is None or claim.stream is None or claim.version is None:
            return 0
        return self._streams[claim.era, claim.stream][claim.version - 1].position

    async def append(self, proposal: Proposal) -> Verdict:
        """See Log.append."""
        async with self.transaction() as transaction:
            return await transaction.append(proposal)

    def failure(self, _error: Exception) -> Failure:
        """See Log.failure. Nothing is ever lost between this process and itself."""
        return Failure.COMMAND

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """See Log.guard_holders."""
        return {key: self._guards[kind, key] for key in keys if (kind, key) in self._guards}

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """See Log.read_page."""
        start = bisect.bisect_right(self.rows, after, key=_position)
        page = self.rows[start : start + limit]
        if until is not None:
            page = [row for row in page if row.position <= until]
        events = [recorded(row, self.types) for row in page if types is None or row.type in types]
        return TailPage(events, page[-1].position if page else after)

    async def read_rows(self, after: int, limit: int, until: int | None = None) -> list[StoredRow]:
        """Rows after a position, undecoded (tail.RawLog)."""
        start = bisect.bisect_right(self.rows, after, key=_position)
        return [row for row in self.rows[start : start + limit] if until is None or row.position <= until]

    async def read(self, after: int, limit: int, types: frozenset[str] | None = None) -> list[Recorded[Any]]:
        """See Log.read."""
        return (await self.read_page(after, limit, types)).events

    async def read_stream(self, stream: str, era: int = 0) -> list[Recorded[Any]]:
        """See Log.read_stream."""
        return [recorded(row, self.types) for row in self._streams.get((era, stream), ())]

    async def find(self, types: frozenset[str], after: int, limit: int) -> list[Recorded[Any]]:
        """See Log.find."""
        found = (row for row in self.rows if row.position > after and row.type in types)
        return [recorded(row, self.types) for row in islice(found, limit)]

    async def census(self) -> Mapping[str, int]:
        """See Log.census."""
        return dict(sorted(Counter(row.type for row in self.rows).items()))

    async def head(self) -> int:
        """See Log.head."""
        return self.rows[-1].position if self.rows else 0

    async def lag_seconds(self, _after: int) -> float:
        """See Log.lag_seconds. Time does not pass in memory."""
        return 0.0

    def version(self, key: StreamKey) -> int:
        """Number of events in a stream."""
        return len(self._streams.get(key, ()))

    def has_claim(self, claim: Claim) -> bool:
        """True when the idempotency key was used."""
        return (claim.organisation, claim.operation, claim.key) in self._claims

    def has_guard(self, guard: GuardClaim) -> bool:
        """True when the guard is taken."""
        return (guard.kind, guard.key) in self._guards

    def _apply(self, transaction: _MemoryTransaction) -> None:
        for row in transaction.rows:
            self.rows.append(row)
            self._streams.setdefault((row.era, row.stream), []).append(row)
        for claim in transaction.claims:
            self._claims[claim.organisation, claim.operation, claim.key] = claim
        for guard in transaction.guards:
            self._guards[guard.kind, guard.key] = guard.holder


class _MemoryTransaction:
    """See log.LogTransaction. The database's lock makes it the only writer while it is open."""

    def __init__(self, log: MemoryLog, connection: Connection) -> None:
        self._log = log
        self.connection = connection
        self.rows: list[StoredRow] = []
        self.claims: list[Claim] = []
        self.guards: list[GuardClaim] = []

    async def load(self, streams: Sequence[StreamKey], keys: Sequence[KeyId]) -> History:
        return await self._log.load(streams, keys)

    def _next_position(self) -> int:
        committed = self._log.rows[-1].position if self._log.rows else 0
        return committed + len(self.rows) + 1

    async def append(self, proposal: Proposal) -> Verdict:
        taken = frozenset(index for index, guard in enumerate(proposal.guards) if self._log.has_guard(guard))
        lost = {proposal.guards[index].group for index in taken}
        lost |= {claim.group for claim in proposal.claims if self._log.has_claim(claim)}
        lost |= {
            expected.group
            for expected in proposal.expected
            if self._log.version((expected.era, expected.stream)) != expected.version
        }
        first = self._next_position()
        for event in proposal.events:
            if event.group not in lost:
                self.rows.append(StoredRow(self._next_position(), *event[1:]))
        self.claims += [claim for claim in proposal.claims if claim.group not in lost]
        self.guards += [guard for guard in proposal.guards if guard.group not in lost]
        return Verdict(first, frozenset(lost), taken)

    async def append_received(self, rows: Sequence[ReceivedEvent]) -> tuple[int, Sequence[int]]:
        versions: dict[StreamKey, int] = {}
        for row in rows:
            fact = row.append
            key = (fact.era, fact.stream_id)
            version = versions.get(key, self._log.version(key)) + 1
            versions[key] = version
            self.rows.append(
                StoredRow(
                    self._next_position(),
                    row.event_id,
                    fact.era,
                    fact.stream_id,
                    version,
                    fact.type,
                    fact.schema,
                    fact.data,
                    row.metadata,
                    fact.occurred_at,
                    row.recorded_at,
                )
            )
        written = self.rows[-len(rows) :]
        return written[-1].position, [row.version for row in written]


def _position(row: StoredRow) -> int:
    return row.position
