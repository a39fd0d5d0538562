"""The log behind the writer: what its two adapters (``memory``, ``postgres_log``) must do.

A proposal is what a batch of decided commands wants to write. Commands that depend on one another share a
group: a group is written whole or not at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from shared.eventstore.commands import BlindAppend
from shared.eventstore.database import Connection, Database, Row
from shared.eventstore.streams import Metadata
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes
from shared.kernel.clock import SHANGHAI

StreamKey = tuple[int, str]
"""(era, stream id)."""

KeyId = tuple[str, str, str]
"""(organisation, operation, key)."""


class StoredEvent(NamedTuple):
    """What a state is folded from."""

    version: int
    type: str
    schema: int
    data: bytes | str


class StoredOutcome(NamedTuple):
    """An accepted command's answer, kept under its idempotency key."""

    digest: bytes
    status: int
    response: bytes
    position: int


class NewEvent(NamedTuple):
    """A row for the log. The position and the database's time are given when it is written."""

    group: int
    event_id: str
    era: int
    stream: str
    version: int
    type: str
    schema: int
    data: bytes
    metadata: bytes
    occurred_at: dt.datetime
    recorded_at: dt.datetime


class Expected(NamedTuple):
    """The version of a stream a group's decisions rest on."""

    group: int
    era: int
    stream: str
    version: int


class Claim(NamedTuple):
    """An idempotency row; era, stream and version name the command's last event, if it has one."""

    group: int
    organisation: str
    operation: str
    key: str
    digest: bytes
    status: int
    response: bytes
    era: int | None
    stream: str | None
    version: int | None


class GuardClaim(NamedTuple):
    """A guard row."""

    group: int
    kind: str
    key: str
    holder: str


class ReceivedEvent(NamedTuple):
    """A blind append with its id; the version is given when it is written."""

    event_id: str
    append: BlindAppend
    metadata: bytes
    recorded_at: dt.datetime


@dataclass(slots=True)
class Proposal:
    """Everything one transaction wants to write to the log."""

    expected: list[Expected] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    guards: list[GuardClaim] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.claims or self.guards or self.events)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a proposal.

    first: position of the first event written; the others follow without gaps, in order.
    lost: groups of which nothing was written. taken_guards: indexes into ``Proposal.guards``.
    """

    first: int
    lost: frozenset[int] = frozenset()
    taken_guards: frozenset[int] = frozenset()
    lock_wait_seconds: float = 0.0


class History(NamedTuple):
    """What a batch needs to know: events per stream, and outcomes of keys that were used before."""

    streams: Mapping[StreamKey, Sequence[StoredEvent]]
    outcomes: Mapping[KeyId, StoredOutcome]
    looked_up: Sequence[Sequence[Row]] = ()
    """Rows of each select asked with them."""


Select = tuple[sa.Select[Any], Sequence[Hashable]]
"""A constant statement and the keys it left open (``database.among``)."""


class LogTransaction(Protocol):
    """An open transaction on the log and the service's tables."""

    @property
    def connection(self) -> Connection:
        """The same transaction, for read models, offsets and private data."""
        ...

    async def load(self, streams: Sequence[StreamKey], keys: Sequence[KeyId]) -> History:
        """Events of streams (absent: none) and outcomes of keys, in one query."""
        ...

    async def append(self, proposal: Proposal) -> Verdict:
        """Write the groups that fit. Takes the append lock, last of all locks, and holds it until commit."""
        ...

    async def append_received(self, rows: Sequence[ReceivedEvent]) -> tuple[int, Sequence[int]]:
        """Append facts of other services; answers the last position, and each one's version. Positions are
        consecutive."""
        ...


class StoredRow(NamedTuple):
    """A row of the log as it stands there."""

    position: int
    event_id: str
    era: int
    stream: str
    version: int
    type: str
    schema: int
    data: bytes | str
    metadata: bytes | str
    occurred_at: dt.datetime
    recorded_at: dt.datetime


class TailPage(NamedTuple):
    """Events after a position. ``scanned``: everything up to there was looked at, of whatever type."""

    events: list[Recorded[Any]]
    scanned: int


class Failure(Enum):
    """What an exception of the database says about asking again."""

    CONNECTION = "connection"  # lost in mid-flight: nobody knows whether the commit happened
    TRANSIENT = "transient"  # a deadlock or a lock timeout: rolled back, may pass next time
    BUSY = "busy"  # it took longer than a statement may: rolled back, not to be asked again at once
    COMMAND = "command"  # something in the batch is bad


class Log(Protocol):
    """One service's log."""

    types: EventTypes

    @property
    def database(self) -> Database:
        """Where read models live: the same database."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[LogTransaction]:
        """Commits on leaving, rolls back on an exception."""
        ...

    async def load(
        self, streams: Sequence[StreamKey], keys: Sequence[KeyId], selects: Sequence[Select] = ()
    ) -> History:
        """``LogTransaction.load`` outside a transaction. selects: asked in the same round trip."""
        ...

    async def append(self, proposal: Proposal) -> Verdict:
        """``LogTransaction.append`` as a transaction of its own."""
        ...

    def failure(self, error: Exception, /) -> Failure:
        """What an exception of ``load``, ``append`` or a transaction means."""
        ...

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Holder per taken key."""
        ...

    async def read_page(
        self, after: int, limit: int, types: frozenset[str] | None = None, until: int | None = None
    ) -> TailPage:
        """Up to ``limit`` rows after a position in commit order, fewer of some types where payloads are large;
        other types are skipped undecoded."""
        ...

    async def read(self, after: int, limit: int, types: frozenset[str] | None = None) -> list[Recorded[Any]]:
        """The events of ``read_page``."""
        ...

    async def read_stream(self, stream: str, era: int = 0) -> list[Recorded[Any]]:
        """All events of one stream, in order."""
        ...

    async def find(self, types: frozenset[str], after: int, limit: int) -> list[Recorded[Any]]:
        """The first events of few types after a position, however much else lies between them."""
        ...

    async def census(self) -> Mapping[str, int]:
        """How many events there are of each stored type."""
        ...

    async def head(self) -> int:
        """Position of the last event; 0 for an empty log."""
        ...

    async def lag_seconds(self, after: int, /) -> float:
        """Age of the first event after a position, by the database's clock; 0 when there is none."""
        ...


class _StoredMetadata(msgspec.Struct, omit_defaults=True):
    correlation: str
    causation: str = ""
    actor: str = ""
    organisation: str = ""
    campaign: str = ""
    pack: str = ""
    pack_digest: str = ""
    extra: dict[str, str] = {}


_METADATA_ENCODER = msgspec.json.Encoder(order="deterministic")
_METADATA_DECODER = msgspec.json.Decoder(_StoredMetadata)


def encode_metadata(metadata: Metadata) -> bytes:
    """JSON of the metadata, empty fields left out."""
    return _METADATA_ENCODER.encode(
        _StoredMetadata(
            metadata.correlation,
            metadata.causation,
            metadata.actor,
            metadata.organisation,
            metadata.campaign,
            metadata.pack,
            metadata.pack_digest,
            dict(metadata.extra) if metadata.extra else {},
        )
    )


def decode_metadata(data: bytes | str) -> Metadata:
    """The reverse of ``encode_metadata``."""
    stored = _METADATA_DECODER.decode(data)
    return Metadata(
        stored.correlation,
        stored.causation,
        stored.actor,
        stored.organisation,
        stored.campaign,
        stored.pack,
        stored.pack_digest,
        stored.extra,
    )


def in_shanghai(moment: dt.datetime) -> dt.datetime:
    """The moment as readers of the log get it."""
    return moment if moment.tzinfo is SHANGHAI else moment.astimezone(SHANGHAI)


def recorded(row: StoredRow, types: EventTypes) -> Recorded[Any]:
    """A stored row with its payload in the newest shape. Raises UnknownTypeError."""
    return Recorded(
        row.position,
        row.event_id,
        row.era,
        row.stream,
        row.version,
        types.decode(row.type, row.schema, row.data),
        decode_metadata(row.metadata),
        row.occurred_at.astimezone(SHANGHAI),
        row.recorded_at.astimezone(SHANGHAI),
    )
