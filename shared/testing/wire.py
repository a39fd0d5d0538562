"""Requests to an app over ``HotProtocol`` without a socket: past its front, as in production."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import httpx
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from shared.web.serving import HotProtocol


class Wire(asyncio.Transport):
    """A connection that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = asyncio.Event()
        self.told = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))
        self.told.set()

    def close(self) -> None:
        self.closed.set()
        self.told.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return


def configured(app: ASGIApp) -> uvicorn.Config:
    """As ``serve`` does it: without a middleware of uvicorn's before the app."""
    config = uvicorn.Config(
        app, http=HotProtocol, lifespan="off", log_config=None, access_log=False, server_header=False,
        date_header=False, proxy_headers=False,
    )  # fmt: skip
    config.load()
    return config


def connected(config: uvicorn.Config) -> tuple[HotProtocol, Wire, ServerState]:
    """A connection, and what its server knows of it."""
    wire, state = Wire(), ServerState()
    protocol = HotProtocol(config, state, {})
    protocol.connection_made(wire)
    return protocol, wire, state


async def finished(protocol: HotProtocol, wire: Wire, state: ServerState) -> None:
    """Until what was asked is answered, or the connection is closed, and no task is left."""
    while not (protocol.cycle is None or protocol.cycle.response_complete or wire.closed.is_set()):
        wire.told.clear()
        await wire.told.wait()
    while state.tasks:
        await asyncio.wait(state.tasks)


class WireTransport(httpx.AsyncBaseTransport):
    """For an ``httpx.AsyncClient``: a connection for each request."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = configured(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, its body read. Raises httpx.RemoteProtocolError when the connection ends before it."""
        protocol, wire, state = connected(self._config)
        try:
            await _send(request, protocol)
            await finished(protocol, wire, state)
        finally:
            protocol.connection_lost(None)
        return _Answered(b"".join(wire.written), bodiless=request.method == "HEAD").response(request)


async def _send(request: httpx.Request, protocol: HotProtocol) -> None:
    head = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    head += [b"%s: %s" % each for each in request.headers.raw]
    protocol.data_received(b"\r\n".join([*head, b"", b""]))
    chunked = request.headers.get("transfer-encoding") == "chunked"
    assert isinstance(request.stream, httpx.AsyncByteStream)
    async for part in request.stream:
        if part:
            protocol.data_received(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
    if chunked:
        protocol.data_received(b"0\r\n\r\n")


class _Answered:
    """What was written, as a response."""

    def __init__(self, data: bytes, *, bodiless: bool) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._complete = False
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._complete = self._bodiless

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._complete = True

    def response(self, request: httpx.Request) -> httpx.Response:
        if not self._complete:
            raise httpx.RemoteProtocolError("no whole answer", request=request)
        status = self._parser.get_status_code()
        return httpx.Response(
            status, headers=self._headers, stream=httpx.ByteStream(self._body), request=request
        )
