"""A small publishing service and a small receiving one, over real contracts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shared.contracts.message import Message, Sealed
from shared.contracts.registration import (
    CollectingUnitInfoTransmittedV1,
    EmployeeInsuranceReportedV1,
    OutOfAreaCoverReportedV1,
    PersonRegisteredV1,
)
from shared.eventstore.commands import Accepted, Append, Command, Loaded
from shared.eventstore.database import Connection
from shared.eventstore.streams import Category, Metadata
from shared.eventstore.tailing import Recorded
from shared.eventstore.types import EventTypes
from shared.kernel.events import Event
from shared.kernel.insurance import Insurance
from shared.messaging.broker import Outgoing
from shared.messaging.partitioner import partition_of
from shared.security.vault import VaultError
from shared.testing.messaging import Member
from shared.testing.store import MemoryParts, memory_store

DAY = dt.date(2020, 9, 1)


class EmploymentNoted(Event, frozen=True):
    """A private event that publishes one message per insurance."""

    person_id: str
    insurances: tuple[Insurance, ...] = (Insurance.MEDICAL,)
    padding: int = 0


class PersonAdded(Event, frozen=True):
    """A private event whose message carries a sealed identity."""

    person_id: str


class Unheard(Event, frozen=True):
    """A private event nobody publishes."""

    note: str = ""


class EmploymentPublication:
    """Employment to EmployeeInsuranceReportedV1; ``broken`` persons make it raise."""

    name = "employment"
    handles = (EmploymentNoted,)

    def __init__(self) -> None:
        self.broken: set[str] = set()

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        event: EmploymentNoted = recorded.event
        if event.person_id in self.broken:
            raise ZeroDivisionError("secret")
        if event.padding:
            return [
                CollectingUnitInfoTransmittedV1(
                    unit_id=event.person_id, name="x" * event.padding, village=event.person_id
                )
            ]
        return [
            EmployeeInsuranceReportedV1(person_id=event.person_id, insurance=insurance, from_date=DAY)
            for insurance in event.insurances
        ]


class PeoplePublication:
    """PersonAdded to PersonRegisteredV1."""

    name = "people"
    handles = (PersonAdded,)

    def publish(self, recorded: Recorded[Any]) -> Sequence[Message]:
        return [
            PersonRegisteredV1(
                person_id=recorded.event.person_id,
                birth=dt.date(1980, 1, 1),
                sex="F",
                division="370406102201",
                hukou_division="370406102201",
            )
        ]


EVENTS = (EmploymentNoted, PersonAdded, Unheard)
MESSAGES = (
    EmployeeInsuranceReportedV1,
    PersonRegisteredV1,
    CollectingUnitInfoTransmittedV1,
    OutOfAreaCoverReportedV1,
)

private_metadata = sa.MetaData()
identities = sa.Table(
    "identities",
    private_metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column("sealed_by", sa.Text, nullable=False),
    sa.Column("ciphertext", sa.Text, nullable=False),
)


class RecordingSealer:
    """Seals by naming; counts its calls, so that batching shows."""

    def __init__(self, unknown: Sequence[str] = (), damaged: Sequence[str] = ()) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self._unknown = set(unknown)
        self._damaged = set(damaged)

    async def seal(
        self, connection: Connection, wanted: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Mapping[str, Sealed]]:
        self.calls += [(receiver, tuple(persons)) for receiver, persons in wanted.items()]
        if any(self._damaged.intersection(persons) for persons in wanted.values()):
            raise VaultError("a row does not open")
        return {
            receiver: {
                person: Sealed("k1", "nonce", f"{person}>{receiver}")
                for person in persons
                if person not in self._unknown
            }
            for receiver, persons in wanted.items()
        }


class RecordingUnsealer:
    """Opens what RecordingSealer sealed for ``service``."""

    table = identities

    def __init__(self, service: str) -> None:
        self._service = service

    def unseal(self, sender: str, message: Message) -> Sequence[Mapping[str, Any]]:
        sealed: dict[str, Sealed] = message.sealed  # type: ignore[attr-defined]
        if self._service not in sealed:
            return []
        return [
            {
                "person_id": message.person_id,  # type: ignore[attr-defined]
                "sealed_by": sender,
                "ciphertext": sealed[self._service].ciphertext,
            }
        ]


THINGS: Category[int] = Category("thing", 0, lambda state, _: state + 1)


def source_parts(seed: int = 1) -> MemoryParts:
    return memory_store(EventTypes(EVENTS), seed=seed)


def sink_parts(seed: int = 2) -> MemoryParts:
    return memory_store(EventTypes((), MESSAGES), [private_metadata], seed=seed)


def source(parts: MemoryParts, **options: Any) -> Member:
    publications = options.pop("publications", [EmploymentPublication(), PeoplePublication()])
    return Member(
        "registration", parts, publications, sealer=options.pop("sealer", RecordingSealer()), **options
    )


def sink(parts: MemoryParts, name: str = "subsidy") -> Member:
    return Member(name, parts, handles=MESSAGES, unsealer=RecordingUnsealer(name))


async def note(parts: MemoryParts, *events: Event, correlation: str = "c1") -> None:
    """Append each event to a stream of its own person, in one command each."""
    for event in events:
        stream = THINGS.stream(getattr(event, "person_id", "none"))

        def decide(_: Loaded, event: Event = event, stream: Any = stream) -> Accepted:
            return Accepted([Append(stream, [event])])

        metadata = Metadata(correlation, actor="clerk:7", campaign="370406-2020", pack="ST-2020")
        await parts.store.execute(Command("note", [stream], decide, metadata))


async def received(parts: MemoryParts) -> list[Recorded[Any]]:
    """All facts received, in log order."""
    return [row for row in await parts.log.read(0, 100_000) if row.stream.startswith("received:")]


async def persons(parts: MemoryParts) -> list[str]:
    """Person of every fact received, in log order."""
    return [getattr(row.event, "person_id", "") or row.event.unit_id for row in await received(parts)]


def outgoing(topic: str, key: str, value: bytes = b"{}", partitions: int = 6, position: int = 0) -> Outgoing:
    return Outgoing(topic, key, partition_of(key, partitions), (("h", b"1"),), value, position)


def forged(**fields: Any) -> bytes:
    """A CloudEvents envelope with fields of one's choice."""
    return msgspec.json.encode(fields)
