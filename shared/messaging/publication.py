"""From private events to published messages, and from messages to the records a broker carries."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import msgspec
from cryptography.hazmat.primitives import hashes

from shared.contracts.message import Envelope, Message, PersonalMessage, Sealed
from shared.eventstore.database import Connection, Database
from shared.eventstore.tailing import Recorded
from shared.kernel.events import Event
from shared.messaging.address import LogIdentity
from shared.messaging.broker import Outgoing
from shared.messaging.partitioner import partition_of
from shared.observability.tracing import TRACEPARENT
from shared.security.vault import VaultError

RECEIVED = "received:"
"""Prefix of streams that hold other services' facts; they are never published again."""

HEADERS = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)

_encoder = msgspec.json.Encoder()


class Publication(Protocol):
    """What a capability tells the world: private event in, contract messages out. Pure."""

    name: str
    handles: tuple[type[Event], ...]

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        """None, one or several messages. The same event gives the same messages for ever."""
        ...


class Sealer(Protocol):
    """Encrypts persons' identities for their receivers; ``shared.security`` implements it."""

    async def seal(
        self, connection: Connection, wanted: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Mapping[str, Sealed]]:
        """wanted: persons per receiver. The sealed identity per receiver and person; erased and unknown persons
        are absent."""
        ...


@dataclass(frozen=True, slots=True)
class Unpublishable:
    """An event whose publication raised. code: the exception's class; never its text."""

    recorded: Recorded[Any]
    publication: str
    code: str


@dataclass(frozen=True, slots=True)
class Outbound:
    """A page of events as records, in position order, and the events that could not be turned into any."""

    records: list[Outgoing]
    failures: list[Unpublishable]


class Publications:
    """All publications of one service, and how their messages become records.

    sealer may be None in a service that publishes no PersonalMessage with receivers.
    """

    def __init__(
        self, identity: LogIdentity, publications: Iterable[Publication], sealer: Sealer | None = None
    ) -> None:
        self.identity = identity
        self._sealer = sealer
        self._newest_after = max(identity.started_after, default=-1)
        self._newest = str(identity.address(self._newest_after + 1))
        self._time: tuple[dt.datetime | None, str] = (None, "")  # the events of a batch share theirs
        self._by_event: dict[type[Any], list[Publication]] = {}
        names: set[str] = set()
        for publication in publications:
            if publication.name in names:
                raise ValueError(f"two publications are named {publication.name}")
            names.add(publication.name)
            for event in publication.handles:
                self._by_event.setdefault(event, []).append(publication)

    @property
    def handles(self) -> tuple[type[Event], ...]:
        """Event types something is published for."""
        return tuple(self._by_event)

    @property
    def culprits(self) -> frozenset[str]:
        """Names a failing event may be blamed on: the publications of its type."""
        return frozenset(_names(publications) for publications in self._by_event.values())

    def messages(self, recorded: Recorded[Any]) -> list[Message]:
        """The messages of one event, unsealed, in order. Raises what a publication raises."""
        if recorded.stream.startswith(RECEIVED):
            return []
        return [
            message
            for publication in self._by_event.get(type(recorded.event), ())
            for message in publication.publish(recorded)
        ]

    async def outgoing(
        self, page: Sequence[Recorded[Any]], database: Database, *, lanes: bool = False
    ) -> Outbound:
        """The page's records. One database read, and none when nothing is sealed.

        lanes: each record under a log name of its own (see ``LogIdentity.address``).
        """
        made: list[tuple[Recorded[Any], list[Message]]] = []
        failures: list[Unpublishable] = []
        for recorded in page:
            try:
                made.append((recorded, self.messages(recorded)))
            except Exception as error:  # noqa: BLE001 - one bad event must not stop the log
                failures.append(Unpublishable(recorded, self._culprit(recorded), type(error).__name__))
        made, sealed = await self._sealed(made, failures, database)
        records = [
            self._record(recorded, index, _with(message, sealed), lanes=lanes)
            for recorded, messages in made
            for index, message in enumerate(messages)
        ]
        return Outbound(records, failures)

    def _culprit(self, recorded: Recorded[Any]) -> str:
        return _names(self._by_event.get(type(recorded.event), ()))

    async def _sealed(
        self,
        made: list[tuple[Recorded[Any], list[Message]]],
        failures: list[Unpublishable],
        database: Database,
    ) -> tuple[list[tuple[Recorded[Any], list[Message]]], Mapping[str, Mapping[str, Sealed]]]:
        """The page sealed at once; where one person's row does not open, event by event, so that a damaged
        row stops its own key and not the log."""
        try:
            return made, await self._seal([message for _, each in made for message in each], database)
        except VaultError:
            pass
        kept: list[tuple[Recorded[Any], list[Message]]] = []
        sealed: dict[str, dict[str, Sealed]] = {}
        for recorded, messages in made:
            try:
                fields = await self._seal(messages, database)
            except VaultError as error:
                failures.append(Unpublishable(recorded, self._culprit(recorded), type(error).__name__))
                continue
            kept.append((recorded, messages))
            for receiver, persons in fields.items():
                sealed.setdefault(receiver, {}).update(persons)
        return kept, sealed

    async def _seal(
        self, messages: Iterable[Message], database: Database
    ) -> Mapping[str, Mapping[str, Sealed]]:
        wanted: dict[str, dict[str, None]] = {}
        for message in messages:
            if message.receivers and isinstance(message, PersonalMessage):
                for receiver in message.receivers:
                    wanted.setdefault(receiver, {})[message.person_id] = None
        if not wanted:
            return {}
        if self._sealer is None:
            raise TypeError("messages with receivers need a sealer")
        async with database.read() as connection:
            return await self._sealer.seal(
                connection, {receiver: tuple(persons) for receiver, persons in sorted(wanted.items())}
            )

    def envelope(self, recorded: Recorded[Any], index: int, message: Message, lane: str = "") -> Envelope:
        """The CloudEvents envelope of an event's ``index``-th message."""
        metadata = recorded.metadata
        data = _encoder.encode(message)
        year = getattr(message, "year", 0)
        return Envelope(
            specversion="1.0",
            id=f"{recorded.event_id}/{index}" if index else recorded.event_id,
            source=self._source(recorded.position, lane),
            type=_type_name(type(message)),
            time=self._told(recorded.occurred_at),
            sequence=str(recorded.position),
            subject=message.key(),
            campaign=metadata.campaign,
            campaignyear=year if isinstance(year, int) else 0,
            divisioncode=str(getattr(message, "division", "")),
            insurance=str(getattr(message, "insurance", None) or ""),
            packid=metadata.pack,
            packdigest=metadata.pack_digest,
            correlationid=metadata.correlation,
            causationid=metadata.causation,
            actortype=metadata.actor.partition(":")[0],
            payloaddigest=sm3(data),
            traceparent=metadata.extra.get(TRACEPARENT, "") if metadata.extra else "",
            data=msgspec.Raw(data),
        )

    def _source(self, position: int, lane: str) -> str:
        """The fact's address; nearly all facts lie in the newest epoch."""
        if not lane and position > self._newest_after:
            return self._newest
        return str(self.identity.address(position, lane))

    def _told(self, moment: dt.datetime) -> str:
        if self._time[0] is not moment:
            self._time = (moment, moment.isoformat())
        return self._time[1]

    def _record(self, recorded: Recorded[Any], index: int, message: Message, *, lanes: bool) -> Outgoing:
        lane = f"{recorded.position}.{index}" if lanes else ""
        key = message.key()
        topic = message.topic
        value = _encoder.encode(self.envelope(recorded, index, message, lane))
        return Outgoing(
            topic.name, key, partition_of(key, topic.partitions), HEADERS, value, recorded.position, index
        )


@cache
def _type_name(message: type[Message]) -> str:
    return message.type_name()


def _names(publications: Iterable[Publication]) -> str:
    return ",".join(publication.name for publication in publications)


def _with(message: Message, sealed: Mapping[str, Mapping[str, Sealed]]) -> Message:
    if not message.receivers or not isinstance(message, PersonalMessage):
        return message
    fields = {
        receiver: sealed[receiver][message.person_id]
        for receiver in message.receivers
        if message.person_id in sealed.get(receiver, {})
    }
    return msgspec.structs.replace(message, sealed=fields)


def _sm3_of_openssl(data: bytes) -> str:
    digest = _EMPTY_SM3.copy()  # looking the algorithm up by name costs more than the digest
    digest.update(data)
    return str(digest.hexdigest())


def _sm3_of_cryptography(data: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize().hex()


_EMPTY_SM3: Any = hashlib.new("sm3") if "sm3" in hashlib.algorithms_available else None
sm3 = _sm3_of_openssl if _EMPTY_SM3 is not None else _sm3_of_cryptography
"""SM3 (GB/T 32905) of bytes, hex. Some builds of hashlib lack it."""
