"""What a consumer tells of its progress: the worst partition of a topic, from the beginning (issue 5 §5)."""

from __future__ import annotations

from shared.kernel.clock import SeededRuntime
from shared.messaging.broker import Partition
from shared.messaging.metrics import NoMetrics
from shared.messaging.progress import Progress

ONE, OTHER = Partition("t", 0), Partition("t", 1)


class Gauges(NoMetrics):
    def __init__(self) -> None:
        self.messages: dict[int, int] = {}
        self.seconds: float | None = None
        self.progress: float | None = None

    def consumer_lag_messages(self, topic: str, partition: int, messages: int) -> None:
        self.messages[partition] = messages

    def consumer_lag_seconds(self, topic: str, seconds: float) -> None:
        self.seconds = seconds

    def last_progress_timestamp(self, topic: str, timestamp: float | None) -> None:
        self.progress = timestamp


def begin() -> tuple[SeededRuntime, Gauges, Progress]:
    runtime, gauges = SeededRuntime(1), Gauges()
    return runtime, gauges, Progress(runtime, gauges)


async def test_a_partition_that_stands_still_does_not_hide_behind_its_neighbour() -> None:
    """Given two partitions, when one moves and the other does not, then the topic stands still."""
    runtime, gauges, progress = begin()
    progress.looked({ONE: 1, OTHER: 1}, {ONE, OTHER})
    began = runtime.timestamp()
    for _ in range(10):
        await runtime.sleep(60)
        progress.booked({ONE: runtime.timestamp() - 1})
        progress.looked({ONE: 1, OTHER: 1}, {ONE, OTHER})
    assert gauges.progress == began
    assert gauges.seconds == 600
    assert progress.stalled({ONE: 1, OTHER: 1}, 300) == [OTHER]


async def test_a_worker_that_never_booked_anything_is_behind_since_it_began() -> None:
    """Given messages waiting at the start, when none is ever booked, then lag and stall both show."""
    runtime, gauges, progress = begin()
    progress.claimed(ONE)
    progress.looked({ONE: 7}, {ONE})
    assert gauges.seconds == 0
    began = gauges.progress
    await runtime.sleep(120)
    progress.looked({ONE: 7}, {ONE})
    assert (gauges.messages, gauges.seconds, gauges.progress) == ({0: 7}, 120, began)


async def test_claiming_again_and_again_is_no_progress() -> None:
    """Given pages that fail for ever, when the partition is claimed anew each time, then the alarm's clock runs on."""
    runtime, gauges, progress = begin()
    progress.looked({ONE: 1}, {ONE})
    began = gauges.progress
    for _ in range(5):
        await runtime.sleep(60)
        progress.claimed(ONE)
        progress.looked({ONE: 1}, {ONE})
    assert gauges.progress == began
    assert progress.stalled({ONE: 1}, 30) == []


async def test_the_age_is_that_of_what_the_broker_got_after_the_last_booked() -> None:
    """A backlog that drains: it moves now, and is as old as its last booked record."""
    runtime, gauges, progress = begin()
    now = runtime.timestamp()
    progress.booked({ONE: now - 3600})
    progress.looked({ONE: 5}, {ONE})
    assert (gauges.seconds, gauges.progress) == (3600, now)


async def test_nothing_to_do_is_progress_but_not_for_a_partition_that_was_stopped() -> None:
    """A partition whose offset the broker lost has nothing unread, and yet stands."""
    runtime, gauges, progress = begin()
    progress.looked({ONE: 0}, {ONE})
    began = runtime.timestamp()
    await runtime.sleep(400)
    progress.looked({ONE: 0}, {ONE})
    assert (gauges.seconds, gauges.progress) == (0, began + 400)
    await runtime.sleep(400)
    progress.looked({ONE: 0}, set())
    assert gauges.progress == began + 400


async def test_what_went_to_another_worker_is_told_by_that_one() -> None:
    """Given a partition taken away, when it comes back, then its time begins anew."""
    runtime, gauges, progress = begin()
    progress.looked({ONE: 3, OTHER: 0}, {ONE, OTHER})
    await runtime.sleep(400)
    progress.looked({OTHER: 0}, {OTHER})
    assert (gauges.messages[0], gauges.seconds, gauges.progress) == (0, 0, runtime.timestamp())
    progress.looked({}, set())
    assert gauges.progress is None
    progress.looked({ONE: 3}, {ONE})
    assert gauges.progress == runtime.timestamp()
