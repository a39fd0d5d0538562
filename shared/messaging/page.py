"""One page of a consumer: what its records come to, decided in memory before anything is written. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from shared.eventstore.commands import BlindAppend
from shared.messaging.address import LANE
from shared.messaging.broker import Partition, Record
from shared.messaging.fence import Marks, Move
from shared.messaging.intake import BadMessageError, Intake
from shared.observability.tracing import CORRELATION, TRACEPARENT, Attributes, Kind, Span, Tracing

MessageKey = tuple[str, str]
"""(topic, message key): what a dead letter blocks."""

DUPLICATE = "duplicate"
STALE_EPOCH = "stale_epoch"
NOT_TAKEN = "not_taken"


@dataclass(slots=True)
class Held:
    """A partition we own: where we are, under which token, and what we have seen of each source log."""

    owner: str
    next_offset: int
    marks: Marks


@dataclass(frozen=True, slots=True)
class Stopped:
    """A record that does not become a fact now: dead, or parked behind a dead one (code is empty then)."""

    partition: Partition
    record: Record
    code: str


@dataclass(slots=True)
class IntakePage:
    """Everything one transaction will write."""

    moves: dict[Partition, Move] = field(default_factory=dict)
    marks: dict[Partition, Marks] = field(default_factory=dict)
    blind: list[BlindAppend] = field(default_factory=list)
    private: list[dict[str, Any]] = field(default_factory=list)
    dead: list[Stopped] = field(default_factory=list)
    parked: list[Stopped] = field(default_factory=list)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    blocked: set[MessageKey] = field(default_factory=set)
    behind: set[MessageKey] = field(default_factory=set)
    newest: dict[Partition, float] = field(default_factory=dict)
    records: int = 0
    tracing: Tracing | None = None
    spans: list[tuple[Span, str, Attributes]] = field(default_factory=list)

    def newly_blocked(self) -> set[MessageKey]:
        """Keys whose letter is written with this page."""
        return {(stopped.partition.topic, stopped.record.key) for stopped in self.dead}

    def take(self, intake: Intake, partition: Partition, held: Held, records: tuple[Record, ...]) -> None:
        """Add records of one partition, in order, starting at what is expected next."""
        marks: Marks = dict(held.marks)
        for record in records:
            self._take(intake, partition, marks, record)
        self.records += len(records)
        self.newest[partition] = records[-1].timestamp
        self.moves[partition] = Move(held.next_offset, records[-1].offset + 1, held.owner)
        self.marks[partition] = {
            source: place for source, place in marks.items() if held.marks.get(source) != place
        }

    def _take(self, intake: Intake, partition: Partition, marks: Marks, record: Record) -> None:
        key = (partition.topic, record.key)
        try:
            envelope = intake.envelope(record.value)
            address, place = intake.address(envelope)
            source = (address.name, address.epoch)
            reason = _repeated(marks, source, place)
            if reason:
                self.skipped[partition.topic, reason] += 1
                return
            marks[source] = place
            if LANE in address.log:
                _raise_main(marks, source, place)
            if key in self.blocked:
                self._park(partition, record, key)
                return
            fact = intake.fact(partition.topic, record, envelope)
        except BadMessageError as error:
            if key in self.blocked:
                self._park(partition, record, key)
            else:
                self.blocked.add(key)
                self.dead.append(Stopped(partition, record, error.code))
            return
        if fact.private:
            self.private += map(dict, fact.private)
        if fact.blind is not None:
            self.blind.append(fact.blind)
            if self.tracing is not None and envelope.traceparent:
                self._trace(self.tracing, partition, record, fact.blind, envelope.traceparent)
        elif not fact.private:
            self.skipped[partition.topic, NOT_TAKEN] += 1

    def _trace(
        self, tracing: Tracing, partition: Partition, record: Record, blind: BlindAppend, parent: str
    ) -> None:
        """A span until the page is booked; what follows from the fact follows from the span."""
        span = tracing.begin("process", Kind.CONSUMER, parent)
        told = blind.metadata
        extra = {**told.extra, TRACEPARENT: span.traceparent or parent}
        self.blind[-1] = structs.replace(blind, metadata=replace(told, extra=extra))
        attributes: dict[str, str | int] = {
            "messaging.destination.name": partition.topic,
            "messaging.destination.partition.id": str(partition.part),
            "messaging.kafka.offset": record.offset,
            "messaging.operation.type": "process",
            "messaging.message.type": blind.type,
            CORRELATION: told.correlation,
        }
        self.spans.append((span, f"process {partition.topic}", attributes))

    def _park(self, partition: Partition, record: Record, key: MessageKey) -> None:
        self.behind.add(key)
        self.parked.append(Stopped(partition, record, ""))


def _raise_main(marks: Marks, source: tuple[str, int], place: tuple[int, int]) -> None:
    """What came in a lane is had: published again in the main log it is a repeat.

    The main log's messages of lower positions all lie before it, as the relay's cursor had passed it.
    """
    main = (source[0].partition(LANE)[0], source[1])
    marks[main] = max(place, marks.get(main, place))


def _repeated(marks: Marks, source: tuple[str, int], place: tuple[int, int]) -> str:
    """Why a message is not news: we had it, or its epoch is over. Empty when it is news."""
    if place <= marks.get(source, (0, -1)):
        return DUPLICATE
    if (len(marks) > 1 or source not in marks) and any(
        name == source[0] and epoch > source[1] for name, epoch in marks
    ):
        return STALE_EPOCH
    return ""
