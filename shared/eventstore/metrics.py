"""What the writer tells about itself; shared.observability implements it."""

from __future__ import annotations

from typing import Protocol


class WriterMetrics(Protocol):
    """Sinks of the writer's measurements (interfaces: metrics)."""

    def append_batch(self, size: int, seconds: float, lock_wait_seconds: float) -> None:
        """A committed transaction: events written, its duration, its wait for the append lock."""
        ...

    def queue_depth(self, commands: int) -> None:
        """Commands waiting for the writer."""
        ...

    def command(self, operation: str, outcome: str) -> None:
        """A command was answered: accepted, replayed, refused or failed."""
        ...

    def refusal(self, code: str) -> None:
        """A command was refused with a code."""
        ...


class NoMetrics:
    """Measures nothing: tests and simulation."""

    def append_batch(self, size: int, seconds: float, lock_wait_seconds: float) -> None:  # noqa: ARG002
        return

    def queue_depth(self, commands: int) -> None:  # noqa: ARG002
        return

    def command(self, operation: str, outcome: str) -> None:  # noqa: ARG002
        return

    def refusal(self, code: str) -> None:  # noqa: ARG002
        return
