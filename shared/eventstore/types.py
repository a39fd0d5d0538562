"""The registry of what stands in a log: event and message classes, their names, schemas and upcasters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from shared.kernel.events import Event, Upcaster

MAX_EVENT_BYTES = 64 * 1024
"""Largest payload of an event of ours: a roster or list is a header and line events of at most 64 KiB."""

_ENCODER = msgspec.json.Encoder(order="deterministic")


class NamedMessage(Protocol):
    """A contract message: a msgspec.Struct that knows its CloudEvents type."""

    @classmethod
    def type_name(cls) -> str:
        """E.g. ``liangxian.collection.payment_received.v1``."""
        ...


class BadEventError(Exception):
    """An event that must not reach the log: unregistered, not encodable, of a wrong shape or too large.

    Carries the type's name only, never the payload.
    """


class UnknownTypeError(Exception):
    """A stored row whose type or schema this program does not know (it was written by a newer one)."""


class _Entry:
    __slots__ = ("cls", "decoder", "name", "schema")

    def __init__(self, name: str, schema: int, cls: type[Any]) -> None:
        self.name = name
        self.schema = schema
        self.cls = cls
        self.decoder = msgspec.json.Decoder(cls)


class EventTypes:
    """Names of a service's own events and of the messages it receives, with payload upcasters.

    events: stored under the class's ``__name__``, so names are unique in a service.
    messages: stored under ``type_name()``.
    upcasters: (event type, schema they lift from, function dict -> dict); a chain from every old schema to
    the newest must be whole. Raises ValueError for duplicates and holes.
    """

    def __init__(
        self,
        events: Iterable[type[Event]],
        messages: Iterable[type[NamedMessage]] = (),
        upcasters: Iterable[Upcaster] = (),
    ) -> None:
        self._by_name: dict[str, _Entry] = {}
        self._by_class: dict[type[Any], _Entry] = {}
        for event in events:
            self._register(event.__name__, event.schema, event)
        for message in messages:
            self._register(message.type_name(), 1, message)
        self._upcasters: dict[tuple[str, int], Any] = {}
        for name, schema, lift in upcasters:
            if (name, schema) in self._upcasters:
                raise ValueError(f"two upcasters lift {name} from schema {schema}")
            self._upcasters[name, schema] = lift
        self._check_chains()

    def _register(self, name: str, schema: int, cls: type[Any]) -> None:
        known = self._by_name.get(name)
        if known is not None:
            if known.cls is cls:
                return
            raise ValueError(f"two classes are stored as {name}")
        entry = _Entry(name, schema, cls)
        self._by_name[name] = entry
        self._by_class[cls] = entry

    def _check_chains(self) -> None:
        for name, schema in self._upcasters:
            entry = self._by_name.get(name)
            if entry is None:
                raise ValueError(f"an upcaster lifts the unknown type {name}")
            for step in range(schema, entry.schema):
                if (name, step) not in self._upcasters:
                    raise ValueError(f"no upcaster lifts {name} from schema {step}")
            if schema >= entry.schema:
                raise ValueError(f"an upcaster lifts {name} beyond its newest schema")

    def name(self, cls: type[Any]) -> str:
        """The stored name of a registered class. Raises UnknownTypeError."""
        entry = self._by_class.get(cls)
        if entry is None:
            raise UnknownTypeError(cls.__name__)
        return entry.name

    def names(self, classes: Iterable[type[Any]]) -> frozenset[str]:
        """Stored names of registered classes."""
        return frozenset(map(self.name, classes))

    def encode(self, struct: msgspec.Struct) -> tuple[str, int, bytes]:
        """(type, schema, JSON). Raises BadEventError."""
        return self.encoded(struct)[:3]

    def encoded(self, struct: msgspec.Struct) -> tuple[str, int, bytes, Any]:
        """(type, schema, JSON, what readers of the log will get). What would not decode again is refused
        here, before any lock.

        Raises BadEventError.
        """
        entry = self._by_class.get(type(struct))
        if entry is None:
            raise BadEventError(f"{type(struct).__name__} is not registered")
        try:
            data = _ENCODER.encode(struct)
            again = entry.decoder.decode(data)
        except (TypeError, ValueError, OverflowError):
            raise BadEventError(f"{entry.name} does not survive encoding") from None
        if len(data) > MAX_EVENT_BYTES:
            raise BadEventError(f"{entry.name} is larger than {MAX_EVENT_BYTES} bytes")
        return entry.name, entry.schema, data, again

    def decode(self, type: str, schema: int, data: bytes | str) -> Any:  # noqa: A002 - the column's name
        """The payload in its newest shape. Raises UnknownTypeError for a type or schema from the future."""
        entry = self._by_name.get(type)
        if entry is None:
            raise UnknownTypeError(type)
        if schema == entry.schema:
            return entry.decoder.decode(data)
        payload = msgspec.json.decode(data)
        for step in range(schema, entry.schema):
            lift = self._upcasters.get((type, step))
            if lift is None:
                raise UnknownTypeError(f"{type} schema {schema}")
            payload = lift(payload)
        if schema > entry.schema:
            raise UnknownTypeError(f"{type} schema {schema}")
        return msgspec.convert(payload, entry.cls)
