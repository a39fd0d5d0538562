"""A network that can be cut, slowed and silenced: a TCP proxy in front of PostgreSQL.

It reads whose connection each is (database and user stand in PostgreSQL's first message), so that a fault meets
one service, or the broker alone, and nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
SSL_REQUEST = 80877103
CHUNK = 1 << 16


@dataclass
class Weather:
    """What befalls the connections of one database. delay: seconds added to every chunk, each way."""

    cut: bool = False
    silent: asyncio.Event | None = None
    delay: float = 0.0
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    passed: int = 0
    """Bytes carried, both ways."""


def database_of(startup: bytes) -> str:
    """The database a client names in its first message; its user's name where it names none."""
    words = startup[8:].split(b"\0")
    said = dict(zip(words[::2], words[1::2], strict=False))
    return said.get(b"database", said.get(b"user", b"")).decode()


class PostgresProxy:
    """Listens on a port of its own and carries every connection to the server."""

    def __init__(self, port: int, server_port: int) -> None:
        self.port = port
        self._server_port = server_port
        self._weather: dict[str, Weather] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        """Let go of everybody."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def over(self, database: str) -> Weather:
        """The weather over a database."""
        return self._weather.setdefault(database, Weather())

    @asynccontextmanager
    async def cut(self, *databases: str) -> AsyncIterator[None]:
        """Connections are reset, new ones are refused."""
        for weather in self._of(databases):
            weather.cut = True
            for writer in tuple(weather.connections):
                writer.transport.abort()
        try:
            yield
        finally:
            for weather in self._of(databases):
                weather.cut = False

    @asynccontextmanager
    async def silence(self, *databases: str) -> AsyncIterator[None]:
        """Nothing passes and nobody is told: a cable pulled out. What waited passes when it is over."""
        for weather in self._of(databases):
            weather.silent = asyncio.Event()
        try:
            yield
        finally:
            for weather in self._of(databases):
                over, weather.silent = weather.silent, None
                if over is not None:
                    over.set()

    @asynccontextmanager
    async def slow(self, seconds: float, *databases: str) -> AsyncIterator[None]:
        """Every chunk arrives so much later, in order."""
        for weather in self._of(databases):
            weather.delay = seconds
        try:
            yield
        finally:
            for weather in self._of(databases):
                weather.delay = 0.0

    def _of(self, databases: Iterable[str]) -> list[Weather]:
        return [self.over(name) for name in databases]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._carry(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _startup(reader, writer)
        weather = self.over(database_of(startup))
        if weather.cut:
            return
        if weather.silent is not None:
            await weather.silent.wait()
        server_reader, server_writer = await asyncio.open_connection(HOST, self._server_port)
        server_writer.write(startup)
        weather.connections.add(writer)
        ways = [
            asyncio.ensure_future(_pump(reader, server_writer, weather)),
            asyncio.ensure_future(_pump(server_reader, writer, weather)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            weather.connections.discard(writer)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.transport.abort()


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The client's first message; a wish for TLS before it is refused as a server without TLS would."""
    while True:
        size = await reader.readexactly(4)
        rest = await reader.readexactly(struct.unpack("!i", size)[0] - 4)
        if struct.unpack("!i", rest[:4])[0] != SSL_REQUEST:
            return size + rest
        writer.write(b"N")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, weather: Weather) -> None:
    while chunk := await reader.read(CHUNK):
        if weather.delay:
            await asyncio.sleep(weather.delay)
        if weather.silent is not None:
            await weather.silent.wait()
        writer.write(chunk)
        weather.passed += len(chunk)
        await writer.drain()
