"""Keep-alive HTTP/1.1 connections for an open loop: one request at a time each, answers cut to what is counted.

A general client spends more on a request than the service does; here a request is a write and its answer a scan
for status and length.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

RECONNECT_SECONDS = 0.2
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, whether it was replayed, seconds of Retry-After, the problem's code ("" for none).

    Status 0: the connection ended, or patience did, before an answer.
    """

    status: int
    replayed: bool = False
    retry_after: int = 0
    code: str = ""


NO_ANSWER = Answer(0)
Answered = Callable[[Answer], None]
_UNMADE = asyncio.WriteTransport()
"""Refuses everything; nobody has a connection before it is made."""


class Connection(asyncio.Protocol):
    """One connection. ``free`` is called when it can take a request, ``gone`` once when it is lost."""

    def __init__(
        self,
        clock: Callable[[], float],
        free: Callable[[Connection], None],
        gone: Callable[[Connection], None],
    ) -> None:
        self._clock, self._free, self._gone = clock, free, gone
        self._transport: asyncio.WriteTransport = _UNMADE
        self._buffer = b""
        self._answered: Answered | None = None
        self.sent_at = 0.0

    @property
    def waiting(self) -> bool:
        """True between a request and its answer."""
        return self._answered is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its class
        self._free(self)

    def send(self, request: bytes, answered: Answered) -> None:
        """One request; ``answered`` is told once."""
        self._answered = answered
        self.sent_at = self._clock()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Until a whole answer is there."""
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        length = _number(head, b"\r\ncontent-length:")
        if length < 0:
            self.abort()  # no length: an intermediary this client does not understand
            return
        whole = end + len(_END) + length
        if len(self._buffer) < whole:
            return
        body, self._buffer = self._buffer[end + len(_END) : whole], b""
        answered, self._answered = self._answered, None
        closing = b"\r\nconnection: close" in head
        if answered is not None:
            answered(_answer(head, body))
        if closing:
            self.abort()
        else:
            self._free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """What was under way has no answer."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(NO_ANSWER)
        self._gone(self)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


def _number(head: bytes, name: bytes) -> int:
    at = head.find(name)
    if at < 0:
        return -1
    at += len(name)
    end = head.find(b"\r\n", at)
    text = head[at : end if end >= 0 else len(head)].strip()
    return int(text) if text.isdigit() else -1


def _answer(head: bytes, body: bytes) -> Answer:
    status = int(head[9:12])
    code = ""
    if status >= 400:
        _, _, rest = body.partition(b'"code":"')
        code = rest[: rest.find(b'"')].decode("ascii", "replace") if rest else ""
    replayed = status < 300 and b"\r\nidempotency-replayed: true" in head
    retry_after = max(_number(head, b"\r\nretry-after:"), 0) if status == 503 else 0
    return Answer(status, replayed, retry_after, code)


class Pool:
    """So many connections to one address; requests wait in order for one that is free.

    limit: more waiting than that are turned away (``offer`` answers False): the generator could not keep up.
    """

    def __init__(self, url: str, connections: int, limit: int, patience_seconds: float = 30.0) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._count, self._limit, self._patience = connections, limit, patience_seconds
        self._loop = asyncio.get_running_loop()
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._queue: deque[tuple[bytes, Answered]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closing = False
        self.reconnects = 0

    async def open(self) -> None:
        """All connections. Raises OSError when the first cannot be made."""
        await self._connect()
        await asyncio.gather(*(self._connect() for _ in range(self._count - 1)))

    async def _connect(self) -> None:
        def made() -> Connection:
            connection = Connection(self._loop.time, self._take, self._lost)
            self._all.add(connection)
            return connection

        await self._loop.create_connection(made, self._host, self._port, ssl=self._tls)

    @property
    def unanswered(self) -> int:
        """Requests that wait or are under way."""
        return len(self._queue) + sum(1 for each in self._all if each.waiting)

    def offer(self, request: bytes, answered: Answered) -> bool:
        """Send now or as soon as a connection is free; False when too many wait already."""
        while self._idle:
            connection = self._idle.popleft()
            if connection in self._all:
                connection.send(request, answered)
                return True
        if len(self._queue) >= self._limit:
            return False
        self._queue.append((request, answered))
        return True

    def _take(self, connection: Connection) -> None:
        if self._queue:
            request, answered = self._queue.popleft()
            connection.send(request, answered)
        else:
            self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if not self._closing:
            self.reconnects += 1
            task = self._loop.create_task(self._again())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _again(self) -> None:
        while not self._closing:
            await asyncio.sleep(RECONNECT_SECONDS)
            try:
                await self._connect()
            except OSError:
                continue
            return

    def end_patience(self) -> None:
        """Give up requests that were sent too long ago; called now and then."""
        before = self._loop.time() - self._patience
        for connection in [each for each in self._all if each.waiting and each.sent_at < before]:
            connection.abort()

    def cut(self) -> None:
        """Abort every connection: what is under way gets no answer; others are made again."""
        for connection in list(self._all):
            connection.abort()

    async def close(self) -> None:
        """End all; what waits has no answer."""
        self._closing = True
        while self._queue:
            _, answered = self._queue.popleft()
            answered(NO_ANSWER)
        for connection in list(self._all):
            connection.abort()
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
