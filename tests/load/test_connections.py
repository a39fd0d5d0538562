"""The generator's own connections against a server that answers, stalls, closes and dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from deploy.load.connections import NO_ANSWER, Answer, Pool

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
REPLAYED = b"HTTP/1.1 201 Created\r\nidempotency-replayed: true\r\ncontent-length: 0\r\n\r\n"
SHED = (
    b'HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 21\r\n\r\n{"code":"OVERLOADED"}'
)
CLOSING = b"HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
REQUEST = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"


class Server(asyncio.Protocol):
    """Says to each request what the test wants; None: nothing."""

    def __init__(self, say: Callable[[bytes], bytes | None]) -> None:
        self._say = say

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        said = self._say(data)
        if said == b"":
            self.transport.close()
        elif said is not None:
            self.transport.write(said[:20])  # type: ignore[attr-defined]  # in two pieces
            self.transport.write(said[20:])  # type: ignore[attr-defined]


@asynccontextmanager
async def pool(
    say: Callable[[bytes], bytes | None], connections: int = 2, limit: int = 10, patience: float = 30.0
) -> AsyncIterator[Pool]:
    """A pool on a server of its own."""
    server = await asyncio.get_running_loop().create_server(lambda: Server(say), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = Pool(f"http://127.0.0.1:{port}", connections, limit, patience)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
        server.close()


async def ask(of: Pool, request: bytes = REQUEST) -> Answer:
    """One request's answer."""
    found: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    assert of.offer(request, found.set_result)
    return await asyncio.wait_for(found, 10)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (CREATED, Answer(201)),
        (REPLAYED, Answer(201, replayed=True)),
        (SHED, Answer(503, retry_after=2, code="OVERLOADED")),
    ],
)
async def test_an_answer_is_read_however_it_arrives(said: bytes, heard: Answer) -> None:
    """Status, replay, Retry-After and the problem's code; answers come in pieces."""
    async with pool(lambda _: said) as made:
        assert [await ask(made) for _ in range(5)] == [heard] * 5
        assert made.reconnects == 0


async def test_requests_wait_in_order_and_too_many_are_turned_away() -> None:
    """One connection, room for two more: the fourth is dropped, the others answered first come first served."""
    heard: list[bytes] = []

    def say(request: bytes) -> bytes:
        heard.append(request[:6])
        return CREATED

    async with pool(say, connections=1, limit=2) as made:
        waiting: list[asyncio.Future[Answer]] = [asyncio.Future() for _ in range(3)]
        offered = [
            made.offer(b"%d" % number + REQUEST, told.set_result)
            for number, told in enumerate([*waiting, asyncio.Future[Answer]()], 1)
        ]
        assert offered == [True, True, True, False]
        assert made.unanswered == 3
        await asyncio.wait_for(asyncio.gather(*waiting), 10)
        assert [each[:1] for each in heard] == [b"1", b"2", b"3"]


async def test_a_connection_that_ends_leaves_its_request_unanswered_and_is_made_again() -> None:
    """What a channel sees of a kill -9: no answer; the next request goes through."""
    said = iter([b"", CREATED])
    async with pool(lambda _: next(said), connections=1) as made:
        assert await ask(made) == NO_ANSWER
        assert await ask(made) == Answer(201)
        assert made.reconnects == 1


async def test_a_server_that_says_close_is_left() -> None:
    """The answer counts; the connection is not used again."""
    async with pool(lambda _: CLOSING, connections=1) as made:
        assert await ask(made) == Answer(201)
        assert await ask(made) == Answer(201)
        assert made.reconnects >= 1


async def test_patience_ends() -> None:
    """A server that never answers does not hold the run up."""
    async with pool(lambda _: None, connections=1, patience=0.0) as made:
        answered: list[Answer] = []
        made.offer(REQUEST, answered.append)
        while not answered:
            await asyncio.sleep(0)
            made.end_patience()
        assert answered == [NO_ANSWER]
