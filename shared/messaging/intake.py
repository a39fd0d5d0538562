"""From a broker's record to a fact for our log, or to the code of what is wrong with it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from shared.contracts.message import Envelope, Message, PersonalMessage
from shared.eventstore.commands import BlindAppend
from shared.eventstore.streams import Metadata
from shared.eventstore.types import EventTypes
from shared.kernel.bounds import out_of_calendar
from shared.messaging.address import LogAddress
from shared.messaging.broker import Record
from shared.messaging.catalogue import contract_types
from shared.messaging.publication import RECEIVED, sm3
from shared.observability.tracing import TRACEPARENT

UNDECODABLE = "UNDECODABLE"
BAD_ADDRESS = "BAD_ADDRESS"
BAD_DIGEST = "BAD_DIGEST"
UNKNOWN_TYPE = "UNKNOWN_TYPE"
INVALID_PAYLOAD = "INVALID_PAYLOAD"
WRONG_TOPIC = "WRONG_TOPIC"
SEALED_FIELD = "SEALED_FIELD"

Place = tuple[int, int]
"""(position in the source log, which of the event's messages)."""

_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


class Unsealer(Protocol):
    """Opens the field sealed for this service; ``shared.security`` implements it."""

    @property
    def table(self) -> sa.Table:
        """Where encrypted personal data of this service lies."""
        ...

    def unseal(self, sender: str, message: Message) -> Sequence[Mapping[str, Any]]:
        """Rows for ``table``; none when nothing is sealed for us. Raises when the field does not open."""
        ...


class BadMessageError(Exception):
    """A record that cannot become a fact. Carries a code, never any content."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Fact(msgspec.Struct, frozen=True):
    """A decoded message. blind is None when nothing of it goes into the log: this service does not take the
    type, or takes its sealed field alone."""

    blind: BlindAppend | None
    private: Sequence[Mapping[str, Any]] = ()


_PASSED = Fact(None)


class _Taken(NamedTuple):
    """How a message type is taken. topic: its name; personal: it may carry a sealed field."""

    topic: str
    sealed_only: bool
    personal: bool


class Intake:
    """What one service takes. handles: the messages it wants; other known contract types are passed over.

    sealed_only: those of them whose sealed field alone is kept: they leave no row in the log.
    """

    def __init__(
        self,
        types: EventTypes,
        handles: Iterable[type[Message]],
        unsealer: Unsealer | None = None,
        *,
        sealed_only: Iterable[type[Message]] = (),
    ) -> None:
        self._types = types
        taken, sealed = tuple(handles), frozenset(sealed_only)
        self._handles = {
            message.type_name(): _Taken(
                message.topic.name, message in sealed, issubclass(message, PersonalMessage)
            )
            for message in taken
        }
        self._passed = contract_types().keys() - self._handles.keys()
        self._unsealer = unsealer
        types.names(taken)  # raises UnknownTypeError when one is not registered

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of the messages taken, sorted."""
        return tuple(sorted({taken.topic for taken in self._handles.values()}))

    @property
    def private_table(self) -> sa.Table | None:
        """Where unsealed rows go."""
        return None if self._unsealer is None else self._unsealer.table

    def envelope(self, value: bytes) -> Envelope:
        """Raises BadMessageError UNDECODABLE."""
        try:
            return _decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadMessageError(UNDECODABLE) from None

    def address(self, envelope: Envelope) -> tuple[LogAddress, Place]:
        """Where the fact lies in its source log. Raises BadMessageError BAD_ADDRESS."""
        try:
            _, _, index = envelope.id.partition("/")
            return _parsed(envelope.source), (int(envelope.sequence), int(index or 0))
        except ValueError:
            raise BadMessageError(BAD_ADDRESS) from None

    def fact(self, topic: str, record: Record, envelope: Envelope) -> Fact:
        """The fact in a record. Raises BadMessageError."""
        wanted = self._handles.get(envelope.type)
        if wanted is None:
            if envelope.type in self._passed:
                return _PASSED
            raise BadMessageError(UNKNOWN_TYPE)
        data = bytes(envelope.data)
        if sm3(data) != envelope.payloaddigest:
            raise BadMessageError(BAD_DIGEST)
        if wanted.topic != topic:
            raise BadMessageError(WRONG_TOPIC)
        try:
            message = self._types.decode(envelope.type, 1, data)
            occurred_at = dt.datetime.fromisoformat(envelope.time)
        except (msgspec.MsgspecError, ValueError):
            raise BadMessageError(INVALID_PAYLOAD) from None
        if occurred_at.tzinfo is None or out_of_calendar(occurred_at):
            raise BadMessageError(INVALID_PAYLOAD)
        service = envelope.source.partition("/")[0]
        private: Sequence[Mapping[str, Any]] = ()
        if wanted.personal and message.sealed:
            private = self._unseal(service, message)
            if not wanted.sealed_only:
                message = msgspec.structs.replace(message, sealed={})
                data = _encoder.encode(message)
        if wanted.sealed_only:
            return Fact(None, private)
        stream = f"{RECEIVED}{service}:{topic}:{record.key}"
        metadata = _metadata(envelope)
        return Fact(BlindAppend(stream, envelope.type, data, metadata, occurred_at, message=message), private)

    def _unseal(self, service: str, message: Message) -> Sequence[Mapping[str, Any]]:
        if self._unsealer is None:
            return ()
        try:
            return self._unsealer.unseal(service, message)
        except Exception:  # noqa: BLE001 - whatever the vault raises, the message is the one at fault
            raise BadMessageError(SEALED_FIELD) from None


@lru_cache(maxsize=1024)
def _parsed(source: str) -> LogAddress:
    return LogAddress.parse(source)


def _metadata(envelope: Envelope) -> Metadata:
    extra = {"source": envelope.source, "sequence": envelope.sequence}
    if envelope.traceparent:
        extra[TRACEPARENT] = envelope.traceparent
    return Metadata(
        correlation=envelope.correlationid,
        causation=envelope.id,
        actor=envelope.actortype,
        campaign=envelope.campaign,
        pack=envelope.packid,
        pack_digest=envelope.packdigest,
        extra=extra,
    )
