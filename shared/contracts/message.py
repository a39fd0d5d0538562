"""The base of published messages and their CloudEvents 1.0 envelope (structured JSON)."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shared.contracts.topics import Topic
from shared.kernel.events import snake_case


class Sealed(msgspec.Struct, frozen=True):
    """An encrypted field for one receiver: AES-256-GCM, associated data ``person_id + receiver``.

    kid: id of the pair key (sender -> receiver); nonce and ciphertext are base64.
    """

    kid: str
    nonce: str
    ciphertext: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A published fact. Class names end in ``V<n>``; amounts are fen, dates local calendar dates.

    ``receivers``: services the relay seals the person's identity for; such a message has ``person_id``
    and gets ``sealed`` filled on its way out, so no personal data ever lies in a log.
    """

    topic: ClassVar[Topic]
    receivers: ClassVar[tuple[str, ...]] = ()

    def key(self) -> str:
        """Partition key: the attribute the topic is keyed by."""
        return str(getattr(self, self.topic.key))

    @classmethod
    def type_name(cls) -> str:
        """CloudEvents ``type``, e.g. ``liangxian.collection.payment_received.v1``."""
        name, _, version = cls.__name__.rpartition("V")
        return f"liangxian.{cls.topic.service}.{snake_case(name)}.v{version}"


class PersonalMessage(Message, frozen=True, kw_only=True):
    """A message that carries an identity, sealed per receiver: {"name", "number", "phone"} as JSON."""

    person_id: str
    sealed: dict[str, Sealed] = msgspec.field(default_factory=dict)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """CloudEvents 1.0 context attributes; extension names are lower-case letters and digits.

    source: ``service/log/epoch``; sequence: the log position, as text. Together they are the fact's address.
    payloaddigest: SM3 of ``data``'s bytes, hex. traceparent: CloudEvents' distributed tracing extension, of sampled
    traces only.
    """

    specversion: str
    id: str
    source: str
    type: str
    time: str
    sequence: str
    datacontenttype: str = "application/json"
    subject: str = ""
    campaign: str = ""
    campaignyear: int = 0
    divisioncode: str = ""
    insurance: str = ""
    packid: str = ""
    packdigest: str = ""
    correlationid: str = ""
    causationid: str = ""
    actortype: str = ""
    payloaddigest: str = ""
    traceparent: str = ""
    data: msgspec.Raw
