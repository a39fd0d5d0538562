"""Keeps the processes of one machine alive: PostgreSQL, Kafka if asked for, services, outside world.

One that dies is started again, with a growing pause while it keeps dying. Processes outlive a
supervisor that is killed; the next one finds them by their pid files and goes on with them.
``python -m deploy.local.supervisor --data DIR`` runs in the foreground until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

from deploy.local.kafka import KafkaServer
from deploy.local.kept import GRACE_SECONDS, Kept
from deploy.local.keys import ensure_keys
from deploy.local.layout import Broker, Layout, Options, State, parse_workers, read_state, write_state
from deploy.local.measuring import MIB, Meter
from deploy.local.postgres import Server, server_for
from deploy.local.processes import (
    Family,
    StartFailed,
    end,
    identify,
    read_pid_file,
    tail_of,
    write_atomically,
    write_pid_file,
)
from deploy.local.programs import Program, programs, scraped, service_of
from deploy.local.provisioning import Addresses, provision
from deploy.local.replacing import settle

SUPERVISOR = "supervisor"
WATCH_SECONDS = 0.2
STATE_SECONDS = 2.0
DEATHS_BEFORE_READY = 4
READY_SECONDS = 180.0
Choose = Callable[[Options, Layout, Addresses, str | None], list[Program]]


class Supervisor:
    """The system of one data directory, from start to stop."""

    def __init__(self, options: Options, choose: Choose = programs) -> None:
        self.options = options
        self.layout = Layout(options.data)
        self.postgres: Server = server_for(self.layout.data)
        self.kafka = KafkaServer(self.layout.data) if options.broker is Broker.KAFKA else None
        self.kept: list[Kept] = []
        self.ready = False
        self.failure = ""
        self._choose = choose
        self._watched: dict[str, Server | KafkaServer] = {}  # servers that are ours to start again
        self._server_restarts = {"postgres": 0, "kafka": 0}
        before = read_state(self.layout)
        self._before = {} if before is None else before.programs
        self._services_peak_mib = 0.0 if before is None else before.services_peak_mib
        self._server_meters = {name: Meter(self._before.get(name)) for name in ("postgres", "kafka")}

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, keep it running until ``stop`` is set, then stop it.

        Raises StartFailed when it does not become ready, having stopped what it had started.
        """
        with self._only_one():
            try:
                await self._start()
                await self._keep(stop)
            except StartFailed as failed:
                self.failure = str(failed)
                raise
            finally:
                await self._stop()

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        self.layout.lock.parent.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StartFailed(f"a supervisor runs already in {self.layout.data}") from None
            ourselves = identify(os.getpid())
            if ourselves is not None:
                write_pid_file(self.layout.pid(SUPERVISOR), ourselves)
            try:
                yield
            finally:
                self.layout.pid(SUPERVISOR).unlink(missing_ok=True)

    async def _start(self) -> None:
        await self._end_leftovers_of_another_system()
        self._report()
        ensure_keys(self.layout.keys)
        await settle(self.layout.data)
        await self.postgres.start()
        if self.postgres.running() is not None:
            self._watched["postgres"] = self.postgres
        addresses = await provision(self.postgres, self.layout.databases)
        if self.kafka is not None:
            await self.kafka.start()
            self._watched["kafka"] = self.kafka
        bootstrap = self.kafka.bootstrap if self.kafka is not None else None
        for program in self._choose(self.options, self.layout, addresses, bootstrap):
            kept = Kept(program, self.layout, self._before.get(program.name))
            self.kept.append(kept)
            if kept.running is None:
                kept.start()
        write_atomically(self.layout.targets, scraped([kept.program for kept in self.kept]))
        self._report()

    async def _end_leftovers_of_another_system(self) -> None:
        """Processes a killed supervisor left are gone on with, unless they were asked for otherwise."""
        before = read_state(self.layout)
        if before is None or before.asked() == self.options.asked():
            return
        for name in before.programs:
            left = read_pid_file(self.layout.pid(name))
            if left is not None:
                await end(left, grace=GRACE_SECONDS)

    async def _keep(self, stop: asyncio.Event) -> None:
        deadline = time.monotonic() + READY_SECONDS
        next_report = 0.0
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while not stop.is_set():
                await self._watch_servers()
                for kept in self.kept:
                    kept.watch()
                if not self.ready:
                    await self._await_ready(client, deadline)
                if time.monotonic() >= next_report:
                    self._measure()
                    self._report()
                    next_report = time.monotonic() + STATE_SECONDS
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), WATCH_SECONDS)

    async def _await_ready(self, client: httpx.AsyncClient, deadline: float) -> None:
        answers = await asyncio.gather(*(answers_ready(client, kept.program.ready_url) for kept in self.kept))
        if all(answers):
            self.ready = True
            self._measure()
            self._report()
            if self.options.ready_file is not None:
                write_atomically(self.options.ready_file, self.layout.state.read_text(encoding="utf-8"))
            return
        for kept, answered in zip(self.kept, answers, strict=True):
            if not answered and (kept.restarts >= DEATHS_BEFORE_READY or time.monotonic() > deadline):
                raise StartFailed(
                    f"{kept.program.name} does not become ready; {kept.log}:\n{tail_of(kept.log)}"
                )

    async def _watch_servers(self) -> None:
        for name, server in self._watched.items():
            if server.running() is None:
                self._server_restarts[name] += 1
                with contextlib.suppress(StartFailed):  # tried again at the next round
                    await server.start()

    def _measure(self) -> None:
        family = Family.now()
        for kept in self.kept:
            kept.measure(family)
        for name, server in self._watched.items():
            self._server_meters[name].read(server.running(), family)
        services = sum(each.meter.resident_bytes for each in self.kept if service_of(each.program.name))
        self._services_peak_mib = max(self._services_peak_mib, round(services / MIB, 1))

    def _report(self) -> None:
        states = {kept.program.name: kept.state() for kept in self.kept}
        for name, server in self._watched.items():
            running = server.running()
            states[name] = self._server_meters[name].state(
                pid=running.pid if running is not None else 0,
                port=0,
                running=running is not None,
                restarts=self._server_restarts[name],
            )
        write_state(
            self.layout,
            State(
                supervisor=os.getpid(),
                ready=self.ready,
                broker=self.options.broker.value,
                port_base=self.options.port_base,
                rehearsal=self.options.rehearsal,
                programs=states,
                failure=self.failure,
                services_peak_mib=self._services_peak_mib,
                workers=dict(self.options.workers),
            ),
        )

    async def _stop(self) -> None:
        self.ready = False
        if self.options.ready_file is not None:
            self.options.ready_file.unlink(missing_ok=True)
        self._measure()
        await asyncio.gather(*(kept.stop() for kept in self.kept))
        if self.kafka is not None:
            await self.kafka.stop()
        await self.postgres.stop()
        self._report()


async def answers_ready(client: httpx.AsyncClient, url: str) -> bool:
    """True when ``/readyz`` answers 200."""
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def supervise(options: Options, choose: Choose = programs) -> None:
    """Run until SIGTERM or SIGINT. Raises StartFailed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Supervisor(options, choose).run(stop)


def parse(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.supervisor")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--broker", choices=[each.value for each in Broker], default=Broker.EMBEDDED.value)
    parser.add_argument("--port-base", type=int, default=8101)
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--workers", action="append", default=[], metavar="SERVICE=N")
    parser.add_argument("--no-rehearsal", action="store_true", help="real clock, no outside world")
    found = parser.parse_args(arguments)
    return Options(
        data=found.data,
        broker=Broker(found.broker),
        port_base=found.port_base,
        rehearsal=not found.no_rehearsal,
        ready_file=found.ready_file,
        log_level=found.log_level,
        workers=parse_workers(found.workers),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    try:
        asyncio.run(supervise(parse(arguments)))
    except StartFailed as failed:
        raise SystemExit(str(failed)) from None


if __name__ == "__main__":
    main()
