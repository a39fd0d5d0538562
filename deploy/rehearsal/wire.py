"""Kept connections under an httpx client (长连接): a request is one write, its answer one parse.

For programs that share two cores with the services they speak to and that send them thousands of small requests:
httpx's own transport spends more on a request than the service does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, cast

import httptools
import httpx

Address = tuple[str, int]


class _Connection(asyncio.Protocol):
    """One connection to one address, with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._answer: asyncio.Future[httpx.Response] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.open = False

    # -- asyncio ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        if self._parser is None:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(type(error).__name__))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._fail(httpx.ReadError(type(exc).__name__ if exc else "connection closed"))

    # -- httptools ----------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        parser, self._parser = self._parser, None
        if not parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            status, content = parser.get_status_code(), b"".join(self._body)
            self._answer.set_result(httpx.Response(status, headers=self._headers, content=content))

    # -- ours ---------------------------------------------------------------------------------------------

    async def ask(self, request: bytes) -> httpx.Response:
        """One request, whole. Raises httpx.ReadError and httpx.RemoteProtocolError."""
        assert self._transport is not None
        self._headers, self._body = [], []
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End it at once."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: httpx.TransportError) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class KeptConnections(httpx.AsyncBaseTransport):
    """Plain HTTP/1.1; as many connections as requests are under way, the one used last first."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[_Connection]] = defaultdict(list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.AsyncBaseTransport. Raises httpx.TransportError when there is no answer."""
        timeout: dict[str, float | None] = request.extensions.get("timeout", {})
        message = _head(request) + await request.aread()
        address = (request.url.host, request.url.port or 80)
        connection = self._kept(address) or await _connect(address, timeout.get("connect"))
        try:
            async with asyncio.timeout(timeout.get("read")):
                response = await connection.ask(message)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise httpx.ReadTimeout("no answer in time") from None
            raise
        if connection.open:
            self._idle[address].append(connection)
        return response

    async def aclose(self) -> None:
        """Close what is kept."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, address: Address) -> _Connection | None:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.open:
                return connection
        return None


async def _connect(address: Address, seconds: float | None) -> _Connection:
    try:
        async with asyncio.timeout(seconds):
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, *address)
    except TimeoutError:
        raise httpx.ConnectTimeout("no connection in time") from None
    except OSError as error:
        raise httpx.ConnectError(type(error).__name__) from None
    return connection


def _head(request: httpx.Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
