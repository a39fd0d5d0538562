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

from shared.web.serving import OneWriteProtocol

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
        app, http=OneWriteProtocol, lifespan="off", log_config=None, server_header=False, date_header=False
    )
    config.load()
    protocol = OneWriteProtocol(config, ServerState(), {})
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

    config = uvicorn.Config(app, http=OneWriteProtocol, lifespan="off", log_config=None)
    config.load()
    protocol, state = None, ServerState()
    gc.collect()
    gc.disable()
    try:
        protocol = OneWriteProtocol(config, state, {})
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
