"""How answers leave (ASGI: no head before there is a body): in one write, whatever the app sends in parts."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from shared.web.serving import HotProtocol

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
OPEN: Message = {"type": "http.response.start", "status": 200, "headers": []}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire(asyncio.Transport):
    """A connection that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return


async def written(messages: Sequence[Message], request: bytes, *, fails: bool = False) -> Wire:
    """What a connection wrote when the app sent these, having read the body; it is closed afterwards."""
    wire, done = Wire(), asyncio.Event()

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        if fails:
            raise RuntimeError
        done.set()

    config = uvicorn.Config(
        app, http=HotProtocol, lifespan="off", log_config=None, server_header=False, date_header=False
    )
    config.load()
    protocol = HotProtocol(config, ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(request)
    async with asyncio.timeout(5):
        await (wire.closed if fails else done).wait()
    protocol.connection_lost(None)
    return wire


POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([START, {"type": "http.response.body", "body": b"ok"}], [HEAD + b"ok"]),
        (
            [
                START,
                {"type": "http.response.body", "body": b"o", "more_body": True},
                {"type": "http.response.body", "body": b"k"},
            ],
            [HEAD + b"o", b"k"],
        ),
        (
            [
                OPEN,
                {"type": "http.response.body", "body": b"o", "more_body": True},
                {"type": "http.response.body", "body": b"k"},
            ],
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"],
        ),
        (
            [{"type": "http.response.start", "status": 204, "headers": []}, {"type": "http.response.body"}],
            [b"HTTP/1.1 204 No Content\r\n\r\n"],
        ),
    ],
)
async def test_the_head_leaves_with_the_beginning_of_the_body(
    messages: Sequence[Message], expected: list[bytes]
) -> None:
    wire = await written(messages, POST + b"\r\n1")
    assert wire.written == expected


async def test_an_answer_before_the_answer_does_not_wait() -> None:
    wire = await written(
        [START, {"type": "http.response.body", "body": b"ok"}], POST + b"Expect: 100-continue\r\n\r\n1"
    )
    assert wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"ok"]


async def test_of_an_answer_that_failed_before_its_body_nothing_leaves() -> None:
    wire = await written([START], POST + b"\r\n1", fails=True)
    assert (wire.written, wire.closed.is_set()) == ([], True)


async def test_an_app_that_fails_before_it_answers_is_answered_for() -> None:
    wire = await written([], POST + b"Connection: close\r\n\r\n1", fails=True)
    assert len(wire.written) == 1
    assert wire.written[0].startswith(b"HTTP/1.1 500 ")
    assert wire.written[0].endswith(b"Internal Server Error")


async def test_an_answered_request_is_gone_without_the_collector() -> None:
    """Garbage that refers to itself waits for a collection, which stops every request for as long as it takes."""
    seen: list[weakref.ref[Any]] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        seen.append(weakref.ref(send.__self__))  # type: ignore[attr-defined]
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    config = uvicorn.Config(app, http=HotProtocol, lifespan="off", log_config=None)
    config.load()
    protocol, state = None, ServerState()
    gc.collect()
    gc.disable()
    try:
        protocol = HotProtocol(config, state, {})
        protocol.connection_made(Wire())
        for _ in range(2):
            protocol.data_received(POST + b"\r\n1")
            async with asyncio.timeout(5):
                await asyncio.gather(*state.tasks)
        assert [found() is None for found in seen] == [True, False]  # the connection still holds its last
    finally:
        gc.enable()
        if protocol is not None:
            protocol.connection_lost(None)


class Busy:
    """An app whose front sheds what is sent to ``/hot``."""

    def __init__(self) -> None:
        self.front = self
        self.asked: list[bytes] = []
        self.ran: list[str] = []

    def shed(
        self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[list[tuple[bytes, bytes]], bytes] | None:
        self.asked.append(target)
        return ([(b"retry-after", b"1"), (b"content-length", b"2")], b"no") if target == b"/hot" else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.ran.append(scope["path"])
        await receive()
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})


SHED = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\nno"


def connected(app: Any) -> tuple[HotProtocol, Wire, ServerState]:
    """As ``serve`` does it: without a middleware of uvicorn's before the app."""
    config = uvicorn.Config(
        app, http=HotProtocol, lifespan="off", log_config=None, server_header=False, date_header=False,
        proxy_headers=False,
    )  # fmt: skip
    config.load()
    wire, state = Wire(), ServerState()
    protocol = HotProtocol(config, state, {})
    protocol.connection_made(wire)
    return protocol, wire, state


def to(path: bytes, extra: bytes = b"") -> bytes:
    return POST.replace(b"/", path, 1) + extra + b"\r\n1"


async def test_what_is_shed_never_becomes_a_task() -> None:
    """Given a full queue, then the request is answered when its body has come; the connection lives on."""
    busy = Busy()
    protocol, wire, state = connected(busy)
    request = to(b"/hot")
    protocol.data_received(request[:-1])
    assert wire.written == []
    protocol.data_received(request[-1:])
    assert (wire.written, busy.ran, state.total_requests) == ([SHED], [], 1)
    assert not wire.closed.is_set()
    assert protocol.timeout_keep_alive_task is not None
    protocol.data_received(to(b"/cold"))
    async with asyncio.timeout(5):
        await asyncio.gather(*state.tasks)
    assert (wire.written, busy.ran) == ([SHED, HEAD + b"ok"], ["/cold"])
    protocol.connection_lost(None)


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """What follows a request that is being answered waits for it, and is not shed before it (RFC 9112, 9.3.2)."""
    busy = Busy()
    protocol, wire, state = connected(busy)
    protocol.data_received(to(b"/hot") + to(b"/cold") + to(b"/hot"))
    assert wire.written == [SHED]
    async with asyncio.timeout(5):
        while len(busy.ran) < 2 or state.tasks:
            await asyncio.gather(*state.tasks)
    assert busy.ran == ["/cold", "/hot"]
    assert wire.written == [SHED, HEAD + b"ok", HEAD + b"ok"]
    protocol.connection_lost(None)


@pytest.mark.parametrize(
    "odd",
    [b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"],
)
async def test_odd_requests_are_not_shed_at_the_door(odd: bytes) -> None:
    """Whoever closes the connection, waits for leave to send or wants another protocol is answered as ever."""
    busy = Busy()
    protocol, _, state = connected(busy)
    protocol.data_received(to(b"/hot", odd))
    async with asyncio.timeout(5):
        await asyncio.gather(*state.tasks)
    assert (busy.asked, busy.ran) == ([], ["/hot"])
    protocol.connection_lost(None)


async def test_a_connection_may_end_before_a_shed_requests_body() -> None:
    protocol, wire, _ = connected(Busy())
    protocol.data_received(to(b"/hot")[:-1])
    protocol.connection_lost(None)
    assert wire.written == []
