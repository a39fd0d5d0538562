"""A fact's address: ``service/log/epoch/position`` (ADR 0032).

A restored database draws positions a second time. The epoch, raised after a restore, tells the new facts
from those the lost timeline had published under the same numbers. What was appended before the restore
point keeps its old epoch for ever, so that publishing it again is recognised as a repeat.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

MAIN = "main"
LANE = "+"
"""Between a log's name and a lane's."""


@dataclass(frozen=True, slots=True)
class LogAddress:
    """``service/log/epoch``: the CloudEvents source of a message."""

    service: str
    log: str = MAIN
    epoch: int = 1

    def __str__(self) -> str:
        return f"{self.service}/{self.log}/{self.epoch}"

    @property
    def name(self) -> str:
        """``service/log``: what a watermark is kept for, beside the epoch."""
        return f"{self.service}/{self.log}"

    @classmethod
    def parse(cls, source: str) -> LogAddress:
        """Raises ValueError."""
        service, log, epoch = source.split("/")
        if not service or not log or int(epoch) < 1:
            raise ValueError("not a log address")
        return cls(service, log, int(epoch))


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """One log and its epochs. started_after[i]: head of the log when epoch i + 2 began; ascending."""

    service: str
    log: str = MAIN
    started_after: tuple[int, ...] = field(default=())

    @property
    def epoch(self) -> int:
        """The epoch of what is appended now."""
        return len(self.started_after) + 1

    def address(self, position: int, lane: str = "") -> LogAddress:
        """The address of the fact at a position.

        lane: a replayed dead letter of the relay goes out under a log name of its own (``main+17.0``),
        since the watermark of the main one has long passed its position.
        """
        epoch = bisect_left(self.started_after, position) + 1
        return LogAddress(self.service, f"{self.log}{LANE}{lane}" if lane else self.log, epoch)
