"""A load generator that costs little: prepared requests over keep-alive connections, in a process of its own.

Closed loop: every connection sends its next request when the last was answered. Open loop: Poisson arrivals,
latency counted from the moment a request was due, however late it could be sent. ``python -m
tests.benchmarks.rig.load`` reads a ``Plan`` from standard input and writes a ``Report`` to standard output.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import uvloop

LATE_SECONDS = 0.010
"""A request sent later than this after it was due counts as late."""


class Target(msgspec.Struct, frozen=True):
    """Where requests go; several ports share them in turn."""

    ports: tuple[int, ...]
    path: str
    headers: dict[str, str] = {}
    host: str = "127.0.0.1"


class Plan(msgspec.Struct, frozen=True):
    """What to send. requests: a file, ``key<TAB>body`` a line, each sent at most once.

    seconds: how long; rate: arrivals a second, 0 for a closed loop. grace: how long after the end answers are
    waited for; what has not come by then counts as dropped. times: keep when each accepted request was answered.
    """

    target: Target
    requests: str
    seconds: float
    connections: int = 64
    rate: float = 0.0
    seed: int = 1
    grace: float = 10.0
    skip: int = 0
    times: bool = False


class Report(msgspec.Struct):
    """What came back. Milliseconds; accepted: 2xx. late: sent more than 10 ms after it was due."""

    offered: int = 0
    answered: int = 0
    accepted: int = 0
    dropped: int = 0
    late: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    statuses: dict[str, int] = {}
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    retry_after: int = 0
    answered_at: list[tuple[str, float]] = []

    @property
    def rate(self) -> float:
        """Accepted requests per second."""
        return self.accepted / self.seconds if self.seconds else 0.0


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.number = -1
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of it

    def send(self, number: int, due: float, data: bytes) -> None:
        self.number, self.due = number, due
        assert self._transport is not None
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = data
            return
        head = data[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else end])
        if len(data) < end + 4 + length:
            self._buffer = data
            return
        self._buffer = b""
        self._generator.answered(self, int(data[9:12]), b"retry-after:" in head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Generator:
    """Sends a plan's requests and keeps count."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests, self._keys = _prepared(plan)
        self._next = 0
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self._closing = False
        self._until = 0.0
        self._done = asyncio.Event()
        self._in_flight = 0
        self._latencies: list[float] = []
        self._last = 0.0
        self.report = Report(statuses={}, answered_at=[])

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        connections: list[Connection] = []
        for number in range(self._plan.connections):
            port = self._plan.target.ports[number % len(self._plan.target.ports)]
            _, made = await loop.create_connection(lambda: Connection(self), self._plan.target.host, port)
            connections.append(made)
        gc.collect()
        gc.freeze()
        gc.disable()
        used, started = time.process_time(), time.perf_counter()
        self._until = started + self._plan.seconds
        if self._plan.rate:
            self._idle = connections[::-1]
            await self._open_loop(started)
        else:
            for connection in connections:
                self._send_next(connection)
            await self._settled(self._plan.seconds + self._plan.grace)
        self._closing = True
        for connection in connections:
            connection.close()
        return self._sum_up(started, used)

    async def _open_loop(self, started: float) -> None:
        arrivals = _poisson(self._plan, started)
        due = next(arrivals, None)
        while due is not None and self._next < len(self._requests):
            now = time.perf_counter()
            while due is not None and due <= now and self._next < len(self._requests):
                self._offer(self._next, due, now)
                self._next += 1
                due = next(arrivals, None)
            if due is not None:
                await asyncio.sleep(max(0.0, min(due - time.perf_counter(), 0.001)))
        await self._settled(self._plan.grace)

    def _offer(self, number: int, due: float, now: float) -> None:
        self.report.offered += 1
        if not self._idle:
            self._waiting.append((number, due))
            return
        self._start(self._idle.pop(), number, due, now)

    def _start(self, connection: Connection, number: int, due: float, now: float) -> None:
        if now - due > LATE_SECONDS:
            self.report.late += 1
        self._in_flight += 1
        connection.send(number, due, self._requests[number])

    def _send_next(self, connection: Connection) -> None:
        now = time.perf_counter()
        if now >= self._until or self._next >= len(self._requests):
            if not self._in_flight:
                self._done.set()
            return
        number, self._next = self._next, self._next + 1
        self.report.offered += 1
        self._start(connection, number, now, now)

    def answered(self, connection: Connection, status: int, retry_after: bool) -> None:
        now = time.perf_counter()
        number, connection.number = connection.number, -1
        self._in_flight -= 1
        self._last = now
        report = self.report
        report.answered += 1
        report.retry_after += retry_after
        report.statuses[str(status)] = report.statuses.get(str(status), 0) + 1
        if 200 <= status < 300:
            report.accepted += 1
            self._latencies.append(now - connection.due)
            if self._plan.times:
                report.answered_at.append((self._keys[number], time.time()))
        if not self._plan.rate:
            self._send_next(connection)
        elif self._waiting:
            waiting, due = self._waiting.popleft()
            self._start(connection, waiting, due, now)
        else:
            self._idle.append(connection)
            self._done.set()

    def lost(self, connection: Connection) -> None:
        """A server lets go of a connection that had nothing to do for a while; the others go on."""
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._closing and connection.number >= 0:
            self._in_flight -= 1
            self.report.statuses["lost"] = self.report.statuses.get("lost", 0) + 1

    async def _settled(self, seconds: float) -> None:
        """Until nothing is in flight, or the time is over."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            over = self._plan.rate or time.perf_counter() >= self._until or self._next >= len(self._requests)
            if over and not self._in_flight and not self._waiting:
                return
            await asyncio.sleep(0.01)

    def _sum_up(self, started: float, used: float) -> Report:
        report = self.report
        report.seconds = max(self._last - started, 1e-9)
        report.cpu_seconds = time.process_time() - used
        report.dropped = report.offered - report.answered
        ordered = sorted(self._latencies)
        if ordered:
            report.p50_ms, report.p90_ms, report.p99_ms = (
                round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
                for share in (0.5, 0.9, 0.99)
            )
            report.max_ms = round(1000 * ordered[-1], 2)
        return report


def _prepared(plan: Plan) -> tuple[list[bytes], list[str]]:
    target = plan.target
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.host}\r\nContent-Type: application/json\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    requests: list[bytes] = []
    keys: list[str] = []
    with Path(plan.requests).open("rb") as file:
        for number, line in enumerate(file):
            if number < plan.skip:
                continue
            key, _, body = line.rstrip(b"\n").partition(b"\t")
            keys.append(key.decode())
            requests.append(
                b"%sIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (head.encode(), key, len(body), body)
            )
    return requests, keys


def _poisson(plan: Plan, started: float) -> Iterator[float]:
    chance = random.Random(plan.seed)
    due = started
    while (due := due + chance.expovariate(plan.rate)) < started + plan.seconds:
        yield due


def main() -> None:
    """Run the plan on standard input."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)

    async def work() -> Report:
        return await Generator(plan).run()

    report = uvloop.run(work())
    # Standard output itself may be unbuffered, and then write only a part.
    with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
