"""Serving an app: one process, one event loop, one writer. Never ``--workers``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.web.settings import ServiceSettings

GRACEFUL_SECONDS = 20

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Shedding(Protocol):
    """An app that refuses requests before they are requests (``front.Front``)."""

    def shed(
        self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[Sequence[tuple[bytes, bytes]], bytes] | None:
        """Headers and body of 503 for what is not taken now; None for all others. target: as it was asked for."""
        ...


class HotProtocol(HttpToolsProtocol):
    """uvicorn's own, but quicker in two things.

    Answers leave in one write instead of two: a packet costs both sides several microseconds (and ASGI wants no head
    sent before there is a body). And what the app sheds is answered here: beyond what a process can do, every request
    that would get a task of its own only to be refused takes that time from one that was accepted.
    """

    refusal: bytes | None = None
    """The answer to the request whose body is being read."""

    def on_headers_complete(self) -> None:
        before = self.cycle
        if before is None or before.response_complete:
            self.refusal = self._refusal()
            if self.refusal is not None:
                self.cycle = _REFUSED  # type: ignore[assignment]
                return
        super().on_headers_complete()
        if self.cycle is not before:  # its task begins to run later
            self.cycle.transport = _OneWrite(self.transport)  # type: ignore[assignment]

    def _refusal(self) -> bytes | None:
        front: Shedding | None = getattr(self.app, "front", None)
        odd = self.expect_100_continue or self.parser.should_upgrade() or not self.parser.should_keep_alive()
        if front is None or odd:
            return None
        refused = front.shed(self.parser.get_method(), self.url, self.headers)
        if refused is None:
            return None
        headers, body = refused
        return b"%s\r\n\r\n%s" % (b"\r\n".join([_UNAVAILABLE, *map(b": ".join, headers)]), body)

    def on_message_complete(self) -> None:
        if self.refusal is None:
            super().on_message_complete()
            return
        answer, self.refusal = self.refusal, None
        self.transport.write(answer)
        self.on_response_complete()


class _Refused:
    """Stands for the cycle of a request that got none: uvicorn reads its body and looks at nothing else."""

    response_complete = True
    message_event = asyncio.Event()


_REFUSED = _Refused()


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
        http=HotProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
