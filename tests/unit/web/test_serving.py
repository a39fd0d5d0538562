"""How answers leave (ASGI: no head before there is a body): in one write, whatever the app sends in parts."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from shared.testing.wire import Wire, configured, connected
from shared.web.serving import HELD_BYTES, Answer, HotProtocol, Told

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
OPEN: Message = {"type": "http.response.start", "status": 200, "headers": []}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


async def written(messages: Sequence[Message], request: bytes, *, fails: bool = False) -> Wire:
    """What a connection wrote when the app sent these, having read the body; it is closed afterwards."""
    done = asyncio.Event()

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        if fails:
            raise RuntimeError
        done.set()

    protocol, wire, _ = connected(configured(app))
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


async def test_a_head_without_a_body_to_come_leaves_at_once() -> None:
    """Given HEAD, then nothing else is waited for (RFC 9110, 9.3.2)."""
    head = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
    wire = await written([START, {"type": "http.response.body", "body": b"ok"}], head)
    assert wire.written == [HEAD]


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

    config = configured(app)
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


class Fronted:
    """An app that is its own front: ``/busy`` is shed, ``/hot`` taken when it is asked for and says so."""

    def __init__(self) -> None:
        self.front = self
        self.asked: list[str] = []
        self.ran: list[tuple[str, bytes]] = []
        self.held: list[Callable[[], None]] | None = None

    def path(self, method: bytes, target: bytes) -> str | None:
        return target.decode() if method == b"POST" and target in (b"/busy", b"/hot") else None

    def shed(self, path: str, _: Sequence[tuple[bytes, bytes]]) -> Answer | None:
        self.asked.append(path)
        if path == "/hot":
            return None
        return Answer(503, [(b"retry-after", b"1"), (b"content-length", b"2")], b"no")

    def take(self, _: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, told: Told) -> bool:
        """``!`` has no answer."""
        if (b"odd", b"1") in headers:
            return False
        answer = None if body == b"!" else Answer(201, [(b"content-length", b"%d" % len(body))], body)
        if self.held is None:
            told(answer)
        else:
            self.held.append(partial(told, answer))
        return True

    def answer(self) -> None:
        """What was held."""
        assert self.held
        for tell in self.held:
            tell()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.ran.append((scope["path"], body))
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})


SHED = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\nno"
HOT = b"HTTP/1.1 201 Created\r\ncontent-length: 1\r\n\r\n1"


def to(path: bytes, extra: bytes = b"", body: bytes = b"1") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n" % (path, len(body), extra)
    return head + body


async def finished(state: ServerState) -> None:
    async with asyncio.timeout(5):
        while state.tasks:
            await asyncio.wait(state.tasks)


async def test_what_is_hot_goes_to_the_front_and_leaves_in_one_write() -> None:
    """Given a hot request, even in pieces, then no task of ASGI's runs; the connection lives on."""
    app = Fronted()
    protocol, wire, state = connected(configured(app))
    request = to(b"/hot")
    for start in range(0, len(request), 7):
        protocol.data_received(request[start : start + 7])
    await finished(state)
    assert (wire.written, app.ran, state.total_requests) == ([HOT], [], 1)
    assert not wire.closed.is_set()
    assert protocol.timeout_keep_alive_task is not None
    protocol.connection_lost(None)


@pytest.mark.parametrize(
    "request_",
    [
        to(b"/hot", b"Odd: 1\r\n"),
        to(b"/hot", b"Connection: close\r\n"),
        to(b"/hot", b"Expect: 100-continue\r\n"),
        to(b"/hot").replace(b"HTTP/1.1", b"HTTP/1.0"),
        to(b"/hot", b"Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
        to(b"/hot", body=b"x" * (HELD_BYTES + 1)),
    ],
    ids=["left by the front", "close", "expect", "HTTP/1.0", "HTTP/1.0 kept alive", "large"],
)
async def test_what_is_not_ordinary_reaches_the_stack_whole(request_: bytes) -> None:
    app = Fronted()
    protocol, _, state = connected(configured(app))
    for start in range(0, len(request_), 1000):
        protocol.data_received(request_[start : start + 1000])
    await finished(state)
    assert app.ran == [("/hot", request_.partition(b"\r\n\r\n")[2])]
    protocol.connection_lost(None)


async def test_a_hot_request_without_a_body_is_one() -> None:
    app = Fronted()
    protocol, wire, state = connected(configured(app))
    protocol.data_received(b"POST /hot HTTP/1.1\r\nHost: a\r\n\r\n")
    await finished(state)
    assert wire.written == [b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"]
    protocol.connection_lost(None)


async def test_a_server_that_stops_answers_first_and_closes() -> None:
    """As uvicorn's own: whoever is being answered is told that the connection ends."""
    app = Fronted()
    app.held = []
    protocol, wire, _ = connected(configured(app))
    protocol.data_received(to(b"/hot"))
    protocol.shutdown()
    assert (wire.written, wire.closed.is_set()) == ([], False)
    app.answer()
    assert wire.written == [HOT.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")]
    assert wire.closed.is_set()
    protocol.connection_lost(None)


async def test_a_caller_that_went_away_is_written_nothing() -> None:
    app = Fronted()
    app.held = []
    protocol, wire, _ = connected(configured(app))
    protocol.data_received(to(b"/hot"))
    protocol.connection_lost(None)
    app.answer()
    assert wire.written == []


@pytest.mark.parametrize("slow", [False, True])
async def test_a_caller_that_went_away_with_requests_in_a_row_is_written_nothing(slow: bool) -> None:
    """Given a second request behind the first, which is the one uvicorn tells of the end, then the first's answer is
    dropped as well: nothing may be written to a transport that is closed."""
    app = Fronted()
    app.held = []
    protocol, wire, state = connected(configured(app))
    if slow:
        protocol.pause_writing()
    protocol.data_received(to(b"/hot") + to(b"/cold"))
    if slow:
        app.answer()
    wire.close()
    protocol.connection_lost(None)
    if not slow:
        app.answer()
    await finished(state)
    assert (wire.written, app.ran) == ([], [])


async def test_who_does_not_read_is_written_no_more() -> None:
    """Given a connection that takes nothing, then the answer waits until it does."""
    app = Fronted()
    protocol, wire, state = connected(configured(app))
    protocol.pause_writing()
    protocol.data_received(to(b"/hot"))
    [task] = state.tasks
    await asyncio.wait([task], timeout=0.01)
    assert wire.written == []
    protocol.resume_writing()
    await finished(state)
    assert wire.written == [HOT]
    protocol.connection_lost(None)


async def test_a_front_that_fails_ends_the_connection() -> None:
    """Nothing else may be said: an answer nobody knows is not one."""
    app = Fronted()
    protocol, wire, _ = connected(configured(app))
    protocol.data_received(to(b"/hot", body=b"!"))
    assert (wire.written, wire.closed.is_set()) == ([], True)
    protocol.connection_lost(None)


async def test_what_is_shed_never_becomes_a_task() -> None:
    """Given a full queue, then the request is answered when its body has come; the connection lives on."""
    app = Fronted()
    protocol, wire, state = connected(configured(app))
    request = to(b"/busy")
    protocol.data_received(request[:-1])
    assert wire.written == []
    protocol.data_received(request[-1:])
    assert (wire.written, app.ran, state.total_requests) == ([SHED], [], 1)
    assert not wire.closed.is_set()
    assert protocol.timeout_keep_alive_task is not None
    protocol.data_received(to(b"/cold"))
    await finished(state)
    assert (wire.written, app.ran) == ([SHED, HEAD + b"ok"], [("/cold", b"1")])
    protocol.connection_lost(None)


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """What follows a request that is being answered waits for it, and is not shed before it (RFC 9112, 9.3.2)."""
    app = Fronted()
    app.held = []
    protocol, wire, state = connected(configured(app))
    protocol.data_received(to(b"/busy") + to(b"/hot") + to(b"/cold") + to(b"/busy") + to(b"/hot"))
    assert wire.written == [SHED]
    app.answer()
    await finished(state)
    assert [path for path, _ in app.ran] == ["/cold", "/busy", "/hot"]
    assert wire.written == [SHED, HOT, HEAD + b"ok", HEAD + b"ok", HEAD + b"ok"]
    protocol.connection_lost(None)


@pytest.mark.parametrize(
    "odd",
    [b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"],
)
async def test_odd_requests_are_not_shed_at_the_door(odd: bytes) -> None:
    """Whoever closes the connection, waits for leave to send or wants another protocol is answered as ever."""
    app = Fronted()
    protocol, _, state = connected(configured(app))
    protocol.data_received(to(b"/busy", odd))
    await finished(state)
    assert (app.asked, [path for path, _ in app.ran]) == ([], ["/busy"])
    protocol.connection_lost(None)


async def test_a_connection_may_end_before_a_shed_requests_body() -> None:
    protocol, wire, _ = connected(configured(Fronted()))
    protocol.data_received(to(b"/busy")[:-1])
    protocol.connection_lost(None)
    assert wire.written == []
