"""Readers of the log: projections (read models) and reactions (facts and received messages to commands)."""

from __future__ import annotations

import datetime as dt
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec
import sqlalchemy as sa

from shared.eventstore.commands import Command, IdempotencyKey
from shared.eventstore.database import Connection
from shared.eventstore.streams import Metadata
from shared.kernel.errors import Refusal

E_co = TypeVar("E_co", bound=msgspec.Struct, covariant=True)


class Recorded(msgspec.Struct, Generic[E_co], frozen=True):
    """A row of the log, payload decoded to the newest schema.

    ``event`` is one of our events or, in a ``received:`` stream, a contract message of another service.
    occurred_at: business time; recorded_at: Clock's now at append. Both aware, Asia/Shanghai.
    """

    position: int
    event_id: str
    era: int
    stream: str
    version: int
    event: E_co
    metadata: Metadata
    occurred_at: dt.datetime
    recorded_at: dt.datetime


class Projection(Protocol):
    """Events to read-model rows. Rows and checkpoint commit together; rebuilt by replay (I-30, scenario 12).

    ``apply`` must use only its own ``tables`` and must be deterministic: no clock, no ids, no other reads.
    Unqualified table names: a rebuild runs the same code against a shadow schema.
    """

    name: str
    tables: Sequence[sa.Table]
    handles: tuple[type[msgspec.Struct], ...]

    async def apply(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Apply a page (1 to 4,000 handled events, in position order)."""
        ...


@dataclass(frozen=True, slots=True)
class Wait:
    """A fact refers to something that has not arrived: try again until the deadline, then dead-letter it.

    days: business days (of BeginDay) to wait.
    """

    reason: str
    days: int = 7


class Reaction(Protocol):
    """A fact of ours, or a received message, to commands of ours.

    Commands commit in one transaction with the reaction's checkpoint: they need no key of their own, unless
    somebody else may give the same command. A reaction that fans out over 500
    commands must give each a key (``derived_key``), as it is then committed in slices. A refused command
    is counted and, where ``on_refusal`` answers a command, answered by it; it never stops the reaction.
    An exception sends the one event to the dead letters; later events of the same ``key`` park behind it.
    A reaction of large facts may have a ``page``: how many events it commits at once, where that is fewer.
    """

    name: str
    handles: tuple[type[msgspec.Struct], ...]

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """Commands that follow from the fact, in order. ``connection`` reads our read models."""
        ...

    def key(self, recorded: Recorded[Any]) -> str:
        """What must stay in order behind a dead letter: usually the person, village or voucher."""
        ...


class PreparedReaction(ABC):
    """A reaction that looks things up once for a page of events: give it ``prepare`` and ``answer``.

    The runner calls ``prepare`` and ``answer``; the other members are those of ``Reaction``.
    """

    name: str
    handles: tuple[type[msgspec.Struct], ...]

    @abstractmethod
    def key(self, recorded: Recorded[Any]) -> str:
        """See Reaction.key."""

    @abstractmethod
    async def prepare(self, events: Sequence[Recorded[Any]], connection: Connection) -> Any:
        """What ``answer`` needs to know of these events (1 to 1,000, in position order): few queries for all.

        When it raises, the events are prepared one by one, to find the one that is to blame.
        """

    @abstractmethod
    def answer(self, recorded: Recorded[Any], prepared: Any) -> Sequence[Command] | Wait:
        """Commands that follow from one of the events, in order; no query."""

    async def react(self, recorded: Recorded[Any], connection: Connection) -> Sequence[Command] | Wait:
        """See Reaction.react."""
        return self.answer(recorded, await self.prepare([recorded], connection))


@runtime_checkable
class AnswersRefusals(Protocol):
    """A reaction that answers a refusal of one of its commands, e.g. by recording the difference."""

    def on_refusal(self, recorded: Recorded[Any], command: Command, refusal: Refusal) -> Command | None:
        """The command to decide in the same transaction, or None."""
        ...


def derived_key(recorded: Recorded[Any], operation: str, target: str = "") -> IdempotencyKey:
    """The key of a command that follows from a fact: the same fact and target give the same key for ever.

    target: what tells several commands of one operation apart, e.g. a person id. The organisation is empty:
    no caller of the HTTP API can use such a key.
    """
    key = f"{recorded.event_id}/{target}" if target else recorded.event_id
    return IdempotencyKey("", operation, key, hashlib.sha256(f"{operation}\n{key}".encode()).digest())
