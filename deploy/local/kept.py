"""One program that is kept running: watched, started again with a growing pause."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from deploy.local.layout import Layout, ProgramState
from deploy.local.measuring import Meter
from deploy.local.processes import (
    Family,
    Running,
    StartFailed,
    end,
    identify,
    python,
    read_pid_file,
    refuse_taken,
    spawn,
    write_pid_file,
)
from deploy.local.programs import Program

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 15.0
GRACE_SECONDS = 20.0


class Kept:
    """One program that is kept running."""

    def __init__(self, program: Program, layout: Layout, before: ProgramState | None = None) -> None:
        self.program = program
        self.restarts = 0
        self.meter = Meter(before)
        self.running: Running | None = read_pid_file(layout.pid(program.name))
        self._layout = layout
        self._pause = FIRST_PAUSE
        self._started_at = time.monotonic()
        self._next_start = 0.0

    @property
    def log(self) -> Path:
        return self._layout.log(self.program.name)

    def start(self) -> None:
        """Start it; a port that somebody else holds is refused."""
        refuse_taken(self.program.port)
        command = [python(), "-m", self.program.module]
        child = spawn(
            command, log=self.log, environment=self.program.environment, directory=self._layout.data
        )
        self._started_at = time.monotonic()
        self.running = identify(child.pid)
        if self.running is not None:
            write_pid_file(self._layout.pid(self.program.name), self.running)

    def watch(self) -> None:
        """Start it again once its pause is over."""
        if self.running is not None and self.running.alive():
            return
        now = time.monotonic()
        if self.running is not None:
            self.running = None
            self.restarts += 1
            steady = now - self._started_at > STEADY_SECONDS
            self._pause = FIRST_PAUSE if steady else min(self._pause * 2, LONGEST_PAUSE)
            self._next_start = now + self._pause
        if now >= self._next_start:
            with contextlib.suppress(StartFailed):  # the port is not free yet: later
                self.start()

    def measure(self, family: Family | None = None) -> None:
        """Look at what it uses."""
        self.meter.read(self.running, family)

    async def stop(self) -> None:
        if self.running is not None:
            self.meter.read(self.running)
            await end(self.running, grace=GRACE_SECONDS)
            self.running = None
        self._layout.pid(self.program.name).unlink(missing_ok=True)

    def state(self) -> ProgramState:
        running = self.running
        return self.meter.state(
            pid=running.pid if running is not None else 0,
            port=self.program.port,
            running=running is not None and running.alive(),
            restarts=self.restarts,
        )
