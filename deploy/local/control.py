"""What the command line does with a system on this machine: up, down, status."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from deploy.local.layout import Layout, Options, State, read_state
from deploy.local.postgres import server_for
from deploy.local.processes import (
    POLL_SECONDS,
    Running,
    StartFailed,
    end,
    identify,
    python,
    read_pid_file,
    spawn,
    tail_of,
)
from deploy.local.supervisor import READY_SECONDS, SUPERVISOR, answers_ready

STOP_SECONDS = 90.0


Started = Callable[[int, int], None]
"""Told how many of the processes run, and of how many."""


PRIVATE = ("logs", "run", "rehearsal", "driver")
"""Folders of the data directory that nobody but us looks into; PostgreSQL keeps its own closed."""


def keep_private(layout: Layout) -> None:
    """Nobody else lists the data directory or reads what is in it. As root we let others pass through it, not
    look: PostgreSQL runs as a user of its own and its cluster may lie below."""
    layout.data.mkdir(parents=True, exist_ok=True)
    layout.data.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for name in PRIVATE:
        folder = layout.data / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)


async def up(options: Options, started: Started = lambda _ready, _of: None) -> State:
    """Start a supervisor of its own unless one runs; returns when every ``/readyz`` is green.

    Raises StartFailed with what kept it from starting, or when one runs that was asked for otherwise: nobody
    shall measure Kafka on the embedded broker.
    """
    layout = Layout(options.data)
    running = supervisor_of(layout)
    if running is None:
        keep_private(layout)
        child = spawn(supervisor_command(options), log=layout.log(SUPERVISOR))
        running = identify(child.pid)
    deadline = time.monotonic() + READY_SECONDS
    while running is not None and running.alive() and time.monotonic() < deadline:
        state = read_state(layout)
        if state is not None and state.supervisor == running.pid:
            started(sum(each.running for each in state.programs.values()), len(state.programs))
        if state is not None and state.ready and state.supervisor == running.pid:
            if state.asked() != options.asked():
                raise StartFailed(
                    f"another system runs in {layout.data} (broker {state.broker}, port base "
                    f"{state.port_base}, workers {state.workers}): "
                    f"stop it first with `liangxian down --data {layout.data}`"
                )
            return state
        await asyncio.sleep(POLL_SECONDS)
    raise StartFailed(tail_of(layout.log(SUPERVISOR)))


def supervisor_of(layout: Layout) -> Running | None:
    """The supervisor that runs in this data directory."""
    return read_pid_file(layout.pid(SUPERVISOR))


def supervisor_command(options: Options) -> list[str | Path]:
    """The command line of a supervisor with these options."""
    command: list[str | Path] = [python(), "-m", "deploy.local.supervisor", "--data", options.data.resolve()]
    command += ["--broker", options.broker.value, "--port-base", str(options.port_base)]
    command += ["--log-level", options.log_level]
    for name, number in options.workers.items():
        command += ["--workers", f"{name}={number}"]
    if options.ready_file is not None:
        command += ["--ready-file", options.ready_file.resolve()]
    if not options.rehearsal:
        command.append("--no-rehearsal")
    return command


async def down(data: Path) -> bool:
    """Stop the system; False when none ran. What a killed supervisor left is ended too."""
    layout = Layout(data)
    running = supervisor_of(layout)
    if running is not None:
        await end(running, number=signal.SIGTERM, grace=STOP_SECONDS)
    left = [each for each in map(read_pid_file, layout.data.glob("run/*.pid")) if each is not None]
    await asyncio.gather(*(end(each) for each in left))
    server = server_for(layout.data)
    found = server.running() is not None
    if found:
        await server.stop()
    return running is not None or bool(left) or found


async def status(data: Path) -> tuple[State | None, dict[str, bool]]:
    """The supervisor's last word (None when it is down) and who answers ``/readyz`` now."""
    layout = Layout(data)
    state = read_state(layout) if supervisor_of(layout) is not None else None
    if state is None:
        return None, {}
    addresses = state.addresses()
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        answers = await asyncio.gather(
            *(answers_ready(client, f"{url}/readyz") for url in addresses.values())
        )
    return state, dict(zip(addresses, answers, strict=True))
