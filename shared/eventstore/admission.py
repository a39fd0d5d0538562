"""How many single commands a process has in hand at once (受理上限): as many as it answers in time. Pure."""

from __future__ import annotations

PATIENCE_SECONDS = 0.15
"""Nobody who is taken waits longer, as far as the last batches tell. Longer than a stall of the disk or of a crowded
machine: who comes meanwhile is answered later, but answered."""

STRAINED_SECONDS = 0.04
"""The same while more comes than can be done: there is always somebody else to take, so waiting brings nothing."""

STRAIN_ENDS_SECONDS = 1.0
"""After the room was last full."""

LEAST = 32
"""Room there always is: the pace is a guess."""

TELLING = 16
"""Commands from which on a batch's pace tells what many cost: a commit costs the same for one as for twenty."""

WEIGHT = 0.1
"""Of the last batch, in the pace."""

JUMP = 2.0
"""A batch counts for this many times the pace at most: one that met a checkpoint is no new pace."""


class Admission:
    """most: the room of a process that is quick, or has not yet shown how quick it is.

    By the queue's length alone nobody could say how long who is taken will wait: half a thousand commands are a tenth
    of a second on one day and a second on another, when somebody else has the machine. Seconds are of any monotonic
    clock.
    """

    def __init__(self, most: int) -> None:
        self.room = most
        """Commands waiting or being committed, beyond which new ones are refused."""
        self._most = most
        self._pace = 0.0
        self._filled_at = float("-inf")

    def filled(self, now: float) -> None:
        """The room is full: whoever comes next is refused."""
        self._filled_at = now
        self._measure(now)

    def note(self, commands: int, seconds: float, now: float) -> None:
        """A batch was answered so long after it had been taken up."""
        if commands >= TELLING:
            pace = seconds / commands
            if self._pace:
                pace = self._pace + WEIGHT * (min(pace, JUMP * self._pace) - self._pace)
            self._pace = pace
        self._measure(now)

    def _measure(self, now: float) -> None:
        if self._pace:
            strained = now - self._filled_at < STRAIN_ENDS_SECONDS
            in_time = (STRAINED_SECONDS if strained else PATIENCE_SECONDS) / self._pace
            self.room = int(min(self._most, max(LEAST, in_time)))
