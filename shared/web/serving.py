"""Serving an app: one process, one event loop, one writer. Never ``--workers``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.kernel.clock import SystemRuntime
from shared.web.settings import ServiceSettings

GRACEFUL_SECONDS = 20

HELD_BYTES = 1 << 16
"""Body of a hot request that is kept until it is whole; a larger one is the stack's matter from there on."""

_RUNTIME = SystemRuntime()
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Headers = Sequence[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What leaves. headers: names in lower case, ``content-length`` among them. body: as long as that says."""

    status: int
    headers: Headers
    body: bytes


Told = Callable[[Answer | None], None]
"""Is told an answer, once. None: there is none, and the connection ends."""


class Front(Protocol):
    """What an app does for its hot requests before they are requests to it (``front.Front``)."""

    def path(self, method: bytes, target: bytes) -> str | None:
        """The path of a hot command; None for all others. target: as it was asked for."""
        ...

    def shed(self, path: str, headers: Headers) -> Answer | None:
        """503 for what is not taken now."""
        ...

    def take(self, path: str, headers: Headers, body: bytes, told: Told) -> bool:
        """Answer it through ``told``, now or later; False when the stack is to say what is wrong with it."""
        ...


class HotProtocol(HttpToolsProtocol):
    """uvicorn's own, but for what is hot.

    Hot requests go to the app's front straight from the connection, and their answers come back without a task:
    ASGI's scope, messages and tasks cost a payment a quarter of its time. What the front sheds is answered before its
    body has come: beyond what a process can do, every request that would be taken only to be refused takes that time
    from one that was accepted. And answers of all others leave in one write instead of two: a packet costs both sides
    several microseconds (and ASGI wants no head sent before there is a body).
    """

    held: _Held | None = None
    """The hot request whose body is being read."""

    def on_headers_complete(self) -> None:
        before = self.cycle
        if before is None or before.response_complete:
            held = self._hold()
            if held is not None:
                self.held = held
                self.cycle = held  # type: ignore[assignment]
                return
        super().on_headers_complete()
        if self.cycle is not before:  # its task begins to run later
            self._in_one_write()

    def _in_one_write(self) -> None:
        if self.cycle.scope["method"] != "HEAD":  # whose answer is a head, with no body to wait for
            self.cycle.transport = _OneWrite(self.transport)  # type: ignore[assignment]

    def _hold(self) -> _Held | None:
        front: Front | None = getattr(self.app, "front", None)
        parser = self.parser
        path = front.path(parser.get_method(), self.url) if front is not None else None
        if front is None or path is None:
            return None
        if self.expect_100_continue or parser.should_upgrade() or not parser.should_keep_alive():
            return None
        if parser.get_http_version() != "1.1":
            return None
        return _Held(front, path, front.shed(path, self.headers))

    def on_body(self, body: bytes) -> None:
        held = self.held
        if held is None:
            super().on_body(body)
        elif held.refusal is None:
            held.body += body
            if len(held.body) > HELD_BYTES:
                self._hand_on(held)

    def on_message_complete(self) -> None:
        held, self.held = self.held, None
        if held is None:
            super().on_message_complete()
        elif held.refusal is not None:
            self._write(held, held.refusal)
        elif not held.front.take(held.path, self.headers, held.body, partial(self._told, held)):
            self._hand_on(held)
            super().on_message_complete()

    def _hand_on(self, held: _Held) -> None:
        """To the stack, as if nobody had held it."""
        self.held, self.cycle = None, None  # type: ignore[assignment]
        super().on_headers_complete()
        self._in_one_write()
        super().on_body(held.body)

    def _told(self, held: _Held, answer: Answer | None) -> None:
        if held.disconnected or self.transport.is_closing():  # a pipelined request is not told of the end
            return
        if answer is None:
            self.transport.close()
        elif self.flow.write_paused:
            task = _RUNTIME.start(self._write_later(held, answer), held.path)
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)
        else:
            self._write(held, answer)

    async def _write_later(self, held: _Held, answer: Answer) -> None:
        """Once the caller reads again."""
        await self.flow.drain()
        if not (held.disconnected or self.transport.is_closing()):
            self._write(held, answer)

    def _write(self, held: _Held, answer: Answer) -> None:
        held.response_complete = True
        head = [STATUS_LINE[answer.status], *[b"%s: %s\r\n" % each for each in answer.headers]]
        if not held.keep_alive:
            head.append(b"connection: close\r\n")
        self.transport.write(b"%s\r\n%s" % (b"".join(head), answer.body))
        if not held.keep_alive:
            self.transport.close()
        self.on_response_complete()


class _Held:
    """A hot request between its headers and its answer; uvicorn takes it for a cycle, of which it asks this much."""

    __slots__ = ("body", "disconnected", "front", "keep_alive", "path", "refusal", "response_complete")
    message_event = asyncio.Event()

    def __init__(self, front: Front, path: str, refusal: Answer | None) -> None:
        self.front = front
        self.path = path
        self.refusal = refusal
        self.body = b""
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True


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
