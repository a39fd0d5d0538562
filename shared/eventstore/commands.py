"""What a handler gives the writer, and what it gets back.

A handler describes a command: the streams and facts it needs and a pure function over them. The one
writer task of the process loads for many commands at once, decides in order, and commits once.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec
import sqlalchemy as sa

from shared.eventstore.database import Connection, Row
from shared.eventstore.streams import Metadata, Stream
from shared.kernel.errors import Refusal
from shared.kernel.events import Event

S = TypeVar("S")


class FactSource(Protocol):
    """A read model a decision looks things up in: one query per batch, not one per command.

    A source of nothing but read models says ``beside = False``: it knows no rows and no guards that commands
    write, so that a page decided ahead need not be decided again for them. One that says nothing may know them.
    """

    name: str

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """Values of the keys that are known; a missing key is simply absent."""
        ...


class Lookup(ABC):
    """A fact source of one select, which is asked in the round trip that loads a batch's streams."""

    name: str
    beside = False
    statement: sa.Select[Any]
    """A constant, its keys left open (``database.among``)."""

    @abstractmethod
    def facts(self, rows: Sequence[Row]) -> Mapping[Any, Any]:
        """What the rows of the select say, by key."""

    async def load(self, connection: Connection, keys: Sequence[Hashable]) -> Mapping[Any, Any]:
        """See FactSource.load."""
        return self.facts(await connection.execute(self.statement, {"keys": keys}))


class Loaded(Protocol):
    """What ``decide`` sees: the states its predecessors in the batch left, and the facts."""

    def state(self, stream: Stream[S]) -> S:
        """The folded state; the category's initial one for a stream without events."""
        ...

    def version(self, stream: Stream[Any]) -> int:
        """Number of events in the stream: 0 for none."""
        ...

    def fact(self, source: FactSource, key: Hashable) -> Any:
        """The fact, or None when the source does not know the key."""
        ...


class Append(msgspec.Struct, frozen=True):
    """Events for one stream, in order. metadata: where it says more than the command's (a campaign the
    decision found, say); the command's when None."""

    stream: Stream[Any]
    events: Sequence[Event]
    metadata: Metadata | None = None


class Guard(msgspec.Struct, frozen=True):
    """A row that may exist once for ever, e.g. a receipt serial (I-19) or (channel, order number).

    When the row is taken, the command is refused with ``refusal`` (its neighbours are not touched).
    ``holder`` is kept with the row and can be looked up (``Store.guard_holders``).
    """

    kind: str
    key: str
    holder: str
    refusal: Refusal


class RowWrite(msgspec.Struct, frozen=True):
    """A row that must commit with the events: encrypted personal data, never a read model.

    Inserted or, when the primary key exists, replaced.
    """

    table: sa.Table
    row: Mapping[str, Any]


class Accepted(msgspec.Struct, frozen=True):
    """A decision's yes. ``response``: JSON-able (dict, list, msgspec.Struct); stored for replays."""

    appends: Sequence[Append] = ()
    guards: Sequence[Guard] = ()
    rows: Sequence[RowWrite] = ()
    response: Any = None
    status: int = 201


class IdempotencyKey(msgspec.Struct, frozen=True):
    """(organisation, operation, key) and the digest of the parsed command (architecture §3)."""

    organisation: str
    operation: str
    key: str
    digest: bytes

    @property
    def derived(self) -> bool:
        """True for the key of a command that follows from a fact; callers of the API cannot have one."""
        return not self.organisation


class Command(msgspec.Struct, frozen=True):
    """One command on its way to the writer.

    operation: imperative snake_case, the label of ``liangxian_commands_total``.
    decide: pure and repeatable; it may run several times (a loser is decided again).
    occurred_at: business time the fact carries (e.g. paid_at); the Clock's now when None.
    """

    operation: str
    streams: Sequence[Stream[Any]]
    decide: Callable[[Loaded], Accepted | Refusal]
    metadata: Metadata
    key: IdempotencyKey | None = None
    facts: Sequence[tuple[FactSource, Sequence[Hashable]]] = ()
    occurred_at: dt.datetime | None = None


class Done(msgspec.Struct, frozen=True):
    """A committed command. ``response`` is the JSON that was, or once was, answered.

    position: log position of the last event (0 when nothing was appended); replayed: answered from an
    earlier execution of the same key.
    """

    response: bytes
    status: int
    position: int
    replayed: bool = False


Outcome = Done | Refusal
Then = Callable[[Outcome | Exception], None]
"""Is told what became of a command."""


@dataclass(frozen=True, slots=True)
class Page:
    """Commands that commit together with ``effects`` (a checkpoint's or offset's compare-and-set).

    ``effects`` runs in the transaction, before the append lock. It returns False when the checkpoint was
    moved by somebody else: then everything is rolled back and StaleCheckpointError is raised to the caller.
    """

    commands: Sequence[Command]
    effects: Callable[[Connection], Awaitable[bool]] | None = None
    blind: Sequence[BlindAppend] = field(default=())
    keyed: bool = True
    """False: derived keys are not kept, as ``effects`` alone let the page happen once (see ``derived_key``)."""
    on_refusal: Callable[[Command, Refusal], Command | None] | None = None
    """Called for each refused command; the command it answers is decided in the same transaction."""
    settled: Callable[[Connection, Sequence[Outcome]], Awaitable[None]] | None = None
    """Given the outcomes of ``commands`` before the events are appended, positions still 0: what it writes commits
    with them."""
    placed: Callable[[Connection, int], Awaitable[None]] | None = None
    """Given the position of the page's last event, where there is one. Everybody else's append waits meanwhile:
    what can be written without it belongs into ``settled``."""


class BlindAppend(msgspec.Struct, frozen=True):
    """A fact from another service, appended to ``received:{source stream}`` with no load and no decision.

    data: the message as JSON; type: the contract's name. The version is given by the append function.
    message: what ``data`` decodes to, where it is known: readers in this process need not decode it again.
    """

    stream_id: str
    type: str
    data: bytes
    metadata: Metadata
    occurred_at: dt.datetime
    era: int = 0
    schema: int = 1
    message: Any = None


class StaleCheckpointError(Exception):
    """Another worker moved the checkpoint or owns the partition: drop what is in hand."""


class Store(Protocol):
    """The writer of one service's log; see ``writer.py``. Adapters underneath: PostgreSQL and memory."""

    @property
    def full(self) -> bool:
        """Whether ``execute`` would raise OverloadedError now."""
        ...

    async def execute(self, command: Command) -> Outcome:
        """Decide and commit one command (batched with others).

        Raises OverloadedError when the queue is full; a Refusal is returned, not raised. Same key and other
        digest: Refusal IDEMPOTENCY_KEY_REUSED. Five lost races: Refusal CONCURRENT_CHANGE.
        """
        ...

    async def execute_bulk(self, commands: Sequence[Command]) -> list[Outcome]:
        """Many independent commands, outcomes in order; at most 500 rows a lock, singles go first."""
        ...

    async def execute_page(self, page: Page) -> list[Outcome]:
        """Commands, blind appends and effects in one transaction; refused commands append nothing."""
        ...

    async def guard_holders(self, kind: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Holder per taken key."""
        ...


class DirectStore(Store, Protocol):
    """A writer in this process, for callers that have no task to wait in."""

    def submit(self, command: Command, then: Then) -> None:
        """As ``execute``, whose answer, or exception, ``then`` is told: once, in the writer's task, which it must not
        hold up or fail.

        Raises OverloadedError when the queue is full.
        """
        ...
