"""How far behind a consumer is, partition by partition, and for how long it has not moved.

A topic is told as its worst partition: one that stands still must not hide behind its neighbours. What is assigned
to another worker is not told at all, so that ``min`` and ``max`` over workers are those of who has it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.kernel.clock import Runtime
from shared.messaging.broker import Partition
from shared.messaging.metrics import MessagingMetrics


@dataclass(slots=True)
class Seen:
    """What is known of a partition.

    moved: monotonic seconds of the last booking, claim or sight of nothing to do. moved_at: the same in unix
    seconds, claims aside: a worker that claims again and again does not get on. even_at: unix seconds up to which
    everything the broker got is known to be booked.
    """

    moved: float
    moved_at: float
    even_at: float


class Progress:
    """Kept by the consumer, told after each look at the broker's ends."""

    def __init__(self, runtime: Runtime, metrics: MessagingMetrics) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._seen: dict[Partition, Seen] = {}
        self._told: set[Partition] = set()

    def _of(self, partition: Partition) -> Seen:
        seen = self._seen.get(partition)
        if seen is None:
            stamp = self._runtime.timestamp()
            seen = self._seen[partition] = Seen(self._runtime.monotonic(), stamp, stamp)
        return seen

    def claimed(self, partition: Partition) -> None:
        """The partition is (again) ours: its watchdog begins anew."""
        self._of(partition).moved = self._runtime.monotonic()

    def booked(self, newest: Mapping[Partition, float]) -> None:
        """A page was booked. newest: unix seconds of the broker's append of each partition's last record."""
        now, stamp = self._runtime.monotonic(), self._runtime.timestamp()
        for partition, even_at in newest.items():
            seen = self._of(partition)
            seen.moved, seen.moved_at, seen.even_at = now, stamp, even_at

    def looked(self, behind: Mapping[Partition, int], held: Collection[Partition]) -> None:
        """The assigned partitions and their unread messages. held: those of them we may book."""
        for partition in self._seen.keys() - behind.keys():  # another worker's now: it tells
            del self._seen[partition]
        now, stamp = self._runtime.monotonic(), self._runtime.timestamp()
        for partition, messages in behind.items():
            seen = self._of(partition)
            if not messages and partition in held:
                seen.moved, seen.moved_at, seen.even_at = now, stamp, stamp
        self._tell(behind, stamp)

    def _tell(self, behind: Mapping[Partition, int], stamp: float) -> None:
        gone, self._told = self._told - behind.keys(), set(behind)
        for partition in gone:
            self._metrics.consumer_lag_messages(*partition, 0)
        for topic in {partition.topic for partition in gone} - {partition.topic for partition in behind}:
            self._metrics.consumer_lag_seconds(topic, 0.0)
            self._metrics.last_progress_timestamp(topic, None)
        late: dict[str, float] = {}
        last: dict[str, float] = {}
        for partition, messages in behind.items():
            topic, seen = partition.topic, self._seen[partition]
            self._metrics.consumer_lag_messages(*partition, messages)
            seconds = max(0.0, stamp - seen.even_at) if messages else 0.0
            late[topic] = max(late.get(topic, 0.0), seconds)
            last[topic] = min(last.get(topic, seen.moved_at), seen.moved_at)
        for topic, seconds in late.items():
            self._metrics.consumer_lag_seconds(topic, seconds)
            self._metrics.last_progress_timestamp(topic, last[topic])

    def stalled(self, behind: Mapping[Partition, int], seconds: float) -> list[Partition]:
        """Partitions with messages waiting that have not moved for so long."""
        now = self._runtime.monotonic()
        return [
            partition
            for partition, messages in sorted(behind.items())
            if messages > 0 and now - self._of(partition).moved > seconds
        ]
