"""Serving an app: one process, one event loop, one writer. Never ``--workers``."""

from __future__ import annotations

import asyncio

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.web.settings import ServiceSettings

GRACEFUL_SECONDS = 20

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's own, whose answers leave in one write instead of two: a packet costs both sides several
    microseconds. ASGI, too, wants no head sent before there is a body."""

    def on_headers_complete(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # its task begins to run later
            self.cycle.transport = _OneWrite(self.transport)  # type: ignore[assignment]


class _OneWrite:
    """What a request's cycle writes to: keeps the head until the beginning of the body is there. It does not know
    its cycle: the two would be garbage that only the collector finds, and its pauses are long."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Head, then body; before them perhaps ``100 Continue``, which does not wait."""
        if self._head is None and data != _CONTINUE:
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Without a body, nothing was sent."""
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


def serve(factory: str, settings: ServiceSettings) -> None:
    """Serve until told to stop. factory: ``services.collection.app:create_app``."""
    uvicorn.run(
        factory,
        factory=True,
        host=settings.host,
        port=settings.port,
        http=OneWriteProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
